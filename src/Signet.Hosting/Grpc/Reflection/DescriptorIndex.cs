using System.Collections.Frozen;
using Google.Protobuf.Reflection;

namespace Signet.Hosting.Grpc.Reflection;

/// <summary>The proto files behind a set of services, by name and by what they declare. Immutable.</summary>
internal sealed class DescriptorIndex
{
    private readonly FrozenDictionary<string, FileDescriptor> _byName;
    private readonly FrozenDictionary<string, FileDescriptor> _bySymbol;

    public DescriptorIndex(IReadOnlyList<ServiceDescriptor> services)
    {
        Services = [.. services.Select(service => service.FullName).Order(StringComparer.Ordinal)];
        var files = services.SelectMany(service => WithImports(service.File)).Distinct().ToList();
        _byName = files.ToFrozenDictionary(file => file.Name, StringComparer.Ordinal);
        _bySymbol = files
            .SelectMany(file => SymbolsOf(file).Select(symbol => (Symbol: symbol, File: file)))
            .ToFrozenDictionary(declared => declared.Symbol, declared => declared.File, StringComparer.Ordinal);
    }

    /// <summary>Full names, sorted.</summary>
    public IReadOnlyList<string> Services { get; }

    public FileDescriptor? FileNamed(string name) => _byName.GetValueOrDefault(name);

    public FileDescriptor? FileDeclaring(string symbol) => _bySymbol.GetValueOrDefault(symbol);

    /// <summary>A file and all that it imports, itself first, none twice.</summary>
    public static IReadOnlyList<FileDescriptor> WithImports(FileDescriptor file)
    {
        var found = new List<FileDescriptor>();
        Visit(file);
        return found;

        void Visit(FileDescriptor next)
        {
            if (!found.Contains(next))
            {
                found.Add(next);
                foreach (var import in next.Dependencies)
                {
                    Visit(import);
                }
            }
        }
    }

    private static IEnumerable<string> SymbolsOf(FileDescriptor file) =>
    [
        .. file.Services.Select(service => service.FullName),
        .. file.Services.SelectMany(service => service.Methods).Select(method => method.FullName),
        .. file.MessageTypes.SelectMany(SymbolsOf),
        .. file.EnumTypes.Select(type => type.FullName),
    ];

    private static IEnumerable<string> SymbolsOf(MessageDescriptor message) =>
    [
        message.FullName,
        .. message.Fields.InDeclarationOrder().Select(field => field.FullName),
        .. message.EnumTypes.Select(type => type.FullName),
        .. message.NestedTypes.SelectMany(SymbolsOf),
    ];
}
