using System.Reflection;

namespace Signet.UnitTests.Architecture;

/// <summary>The floors of ARCHITECTURE.md, held to the assembly references.</summary>
public sealed class FloorTests
{
    private static readonly Dictionary<string, string[]> MayReference = new()
    {
        ["Signet.Identity"] = [],
        ["Signet.Rpc"] = ["Signet.Identity"],
        ["Signet.Policy"] = ["Signet.Identity"],
        ["Signet.Authority"] = ["Signet.Identity"],
        ["Signet.Client"] = ["Signet.Identity", "Signet.Rpc"],
        ["Signet.AspNetCore"] = ["Signet.Identity", "Signet.Client"],
        ["Signet.Hosting"] = ["Signet.Identity", "Signet.Rpc"],
        ["Signet.Server"] = ["Signet.Identity", "Signet.Rpc", "Signet.Authority", "Signet.Policy", "Signet.Client", "Signet.Hosting"],
        ["Signet.Agent"] = ["Signet.Identity", "Signet.Rpc", "Signet.Client", "Signet.Hosting"],
        ["Signet.Proxy"] = ["Signet.Identity", "Signet.Rpc", "Signet.Policy", "Signet.Client", "Signet.Hosting"],
        ["Signet.Helper"] = ["Signet.Identity", "Signet.Rpc", "Signet.Client", "Signet.Hosting"],
        ["signet"] = ["Signet.Identity", "Signet.Rpc", "Signet.Authority", "Signet.Policy", "Signet.Client", "Signet.Hosting", "Signet.Server", "Signet.Agent", "Signet.Proxy", "Signet.Helper"],
    };

    public static TheoryData<string> Projects => [.. MayReference.Keys];

    [Theory]
    [MemberData(nameof(Projects))]
    public void Arrows_go_down_only(string project) =>
        Assert.Empty(References(project).Where(name => name.StartsWith("Signet.", StringComparison.Ordinal)).Except(MayReference[project]));

    [Fact]
    public void The_lowest_floor_stands_on_the_base_class_library_alone() =>
        Assert.All(References("Signet.Identity"), name => Assert.StartsWith("System.", name));

    [Theory]
    [InlineData("Signet.Identity")]
    [InlineData("Signet.Policy")]
    [InlineData("Signet.Authority")]
    public void A_pure_floor_has_no_socket_no_database_and_no_web_server(string project) =>
        Assert.DoesNotContain(References(project), name =>
            name is "System.Net.Sockets" or "System.Net.Http" or "System.Data.Common" || name.StartsWith("Microsoft.AspNetCore", StringComparison.Ordinal));

    [Fact]
    public void The_client_package_does_not_drag_in_a_web_server() =>
        Assert.DoesNotContain(References("Signet.Client"), name => name.StartsWith("Microsoft.AspNetCore", StringComparison.Ordinal));

    private static IEnumerable<string> References(string project) => Assembly.Load(project).GetReferencedAssemblies().Select(name => name.Name!);
}
