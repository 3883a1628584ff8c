using System.Reflection;
using System.Text;

namespace Signet.UnitTests.Client;

/// <summary>
/// Holds the packages' PublicApi.txt to the code, so that nothing others compile against changes unseen. To write the files anew, run these tests with
/// <c>SIGNET_UPDATE_DOCS=1</c> and commit what changed.
/// </summary>
public sealed class PublicApiTests
{
    [Theory]
    [InlineData("Signet.Client")]
    [InlineData("Signet.AspNetCore")]
    public void The_public_api_is_the_one_that_was_agreed(string project)
    {
        var path = Proxy.RepositoryFolder.Find("src", project, "PublicApi.txt");
        var actual = Describe(Assembly.Load(project));
        if (Environment.GetEnvironmentVariable("SIGNET_UPDATE_DOCS") == "1")
        {
            File.WriteAllText(path, actual);
        }

        Assert.Equal(File.ReadAllText(path), actual);
    }

    private static string Describe(Assembly assembly)
    {
        var text = new StringBuilder();
        foreach (var type in assembly.GetExportedTypes().OrderBy(type => type.FullName, StringComparer.Ordinal))
        {
            var kind = type.IsInterface ? "interface" : type.IsEnum ? "enum" : type.IsValueType ? "struct" : type.IsAbstract && type.IsSealed ? "static class" : type.IsSealed ? "sealed class" : "class";
            var bases = new[] { type.BaseType }.OfType<Type>().Where(b => b != typeof(object)).Concat(type.GetInterfaces()).Select(Name).Order(StringComparer.Ordinal).ToList();
            text.Append($"{kind} {type.Namespace}.{Name(type)}{(bases.Count > 0 && !type.IsEnum ? " : " + string.Join(", ", bases) : "")}\n");
            var members = type
                .GetMembers(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance | BindingFlags.DeclaredOnly)
                .Where(IsVisible).Select(Describe).OfType<string>().Distinct().Order(StringComparer.Ordinal);
            foreach (var member in members)
            {
                text.Append($"    {member}\n");
            }
        }

        return text.ToString();
    }

    private static bool IsVisible(MemberInfo member) => !member.Name.Contains('<', StringComparison.Ordinal) && member switch
    {
        MethodBase method => method.IsPublic || (method.IsFamily && !method.DeclaringType!.IsSealed),
        FieldInfo field => field.IsPublic && !field.IsSpecialName,
        PropertyInfo property => property.GetAccessors().Length > 0,
        _ => false,
    };

    private static string? Describe(MemberInfo member) => member switch
    {
        ConstructorInfo constructor => $"new({Parameters(constructor)})",
        MethodInfo { IsSpecialName: true } => null,
        MethodInfo method => $"{Static(method.IsStatic)}{method.Name}({Parameters(method)}) -> {Name(method.ReturnType)}",
        FieldInfo { IsLiteral: true, DeclaringType.IsEnum: true } field => $"{field.Name} = {Convert.ToInt64(field.GetRawConstantValue(), null)}",
        FieldInfo { IsLiteral: true } field => $"const {field.Name}: {Name(field.FieldType)} = {field.GetRawConstantValue()}",
        FieldInfo field => $"{Static(field.IsStatic)}{field.Name}: {Name(field.FieldType)}",
        PropertyInfo property => $"{Static(property.GetAccessors()[0].IsStatic)}{property.Name}: {Name(property.PropertyType)} {{ {string.Join(" ", property.GetAccessors().Select(Accessor))} }}",
        _ => null,
    };

    private static string Accessor(MethodInfo accessor) =>
        accessor.ReturnType != typeof(void) ? "get;" : accessor.ReturnParameter.GetRequiredCustomModifiers().Length > 0 ? "init;" : "set;";

    private static string Static(bool isStatic) => isStatic ? "static " : "";

    private static string Parameters(MethodBase method) => string.Join(", ", method.GetParameters().Select(p => $"{(p.IsOut ? "out " : "")}{Name(p.ParameterType)} {p.Name}{(p.IsOptional ? "?" : "")}"));

    private static string Name(Type type) =>
        type.IsByRef || type.IsArray ? Name(type.GetElementType()!) + (type.IsArray ? "[]" : "")
        : !type.IsGenericType ? type.Name
        : $"{type.Name.Split('`')[0]}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>";
}
