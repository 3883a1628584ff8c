using System.IO.Compression;
using Signet.InteropTests.DataPlane;
using Signet.InteropTests.Rpc;
using Signet.Testing;

namespace Signet.InteropTests.Packages;

/// <summary>The packages as a stranger gets them: packed into a folder, restored from it by a new project, trimmed, and run against an agent.</summary>
public sealed class PackageTests
{
    private const string Program = """
        using Signet.Client;
        using Signet.Client.Http;
        using Signet.Client.Tls;

        if (!WorkloadApiAddress.TryFromEnvironment(out var agent, out var problem))
        {
            Console.Error.WriteLine(problem);
            return 1;
        }

        await using var source = new X509Source(agent, TimeProvider.System);
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var me = (await source.WaitAsync(patience.Token)).Default.Id;
        using var http = new HttpClient(new MutualTlsHandler(new MutualTls(source, Authorizer.MemberOf(me.TrustDomain), TimeProvider.System)));
        using var client = new WorkloadApiClient(agent, TimeProvider.System);
        var token = (await client.FetchJwtAsync(["orders"], null, patience.Token))[0];
        Console.WriteLine($"{me} {(await client.ValidateJwtAsync("orders", token.Token, patience.Token)).Id}");
        return 0;
        """;

    [Fact(Explicit = true)]
    [Trait("Category", "Soak")]
    public async Task A_new_project_restores_the_packages_from_a_folder_and_runs_trimmed()
    {
        using var folder = new TestFolder();
        var packages = Path.Combine(folder.Path, "packages");
        await RunAsync("bash", [Path.Combine(Peer.Repository, "eng", "pack"), packages]);
        foreach (var name in new[] { "Signet.Identity", "Signet.Rpc", "Signet.Client", "Signet.AspNetCore" })
        {
            var package = Assert.Single(Directory.GetFiles(packages, $"{name}.*.nupkg"));
            using var content = ZipFile.OpenRead(package);
            Assert.NotNull(content.GetEntry("README.md"));
            Assert.NotNull(content.GetEntry($"lib/net10.0/{name}.xml"));
            using var symbols = ZipFile.OpenRead(Path.ChangeExtension(package, ".snupkg"));
            Assert.NotNull(symbols.GetEntry($"lib/net10.0/{name}.pdb"));
        }

        // Nothing but the folder is asked; what others made is there from this build.
        var version = Path.GetFileNameWithoutExtension(Directory.GetFiles(packages, "Signet.Client.*.nupkg")[0])["Signet.Client.".Length..];
        var others = Environment.GetEnvironmentVariable("NUGET_PACKAGES") ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
        await File.WriteAllTextAsync(folder.File("nuget.config"), $"""
            <configuration>
              <config><add key="globalPackagesFolder" value="{folder.File("restored")}" /></config>
              <packageSources><clear /><add key="folder" value="{packages}" /></packageSources>
              <fallbackPackageFolders><clear /><add key="others" value="{others}" /></fallbackPackageFolders>
            </configuration>
            """);
        await File.WriteAllTextAsync(folder.File("Stranger.csproj"), $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <Nullable>enable</Nullable>
                <ImplicitUsings>enable</ImplicitUsings>
                <PublishTrimmed>true</PublishTrimmed>
                <TrimmerSingleWarn>false</TrimmerSingleWarn>
                <InvariantGlobalization>true</InvariantGlobalization>
                <NuGetAudit>false</NuGetAudit>
              </PropertyGroup>
              <ItemGroup><PackageReference Include="Signet.Client" Version="{version}" /></ItemGroup>
            </Project>
            """);
        await File.WriteAllTextAsync(folder.File("Program.cs"), Program);
        var published = await RunAsync("dotnet", ["publish", folder.File("Stranger.csproj"), "-c", "Release", "-r", "linux-x64", "--self-contained", "-v", "quiet", "-nologo", "-o", folder.File("out")]);

        // Google.Protobuf has warnings of its own, about JSON, which is not used here.
        Assert.DoesNotContain(published.Split('\n'), line => line.Contains("warning", StringComparison.Ordinal) && !line.StartsWith("/_/csharp/src/Google.Protobuf/", StringComparison.Ordinal));

        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/web");
        var said = await RunAsync("env", [$"SPIFFE_ENDPOINT_SOCKET=unix:{domain.AgentSocket}", Path.Combine(folder.File("out"), "Stranger")]);
        Assert.Equal("spiffe://example.org/web spiffe://example.org/web", said.Trim());
    }

    private static async Task<string> RunAsync(string program, string[] arguments)
    {
        var (exit, output) = await Tool.RunAsync(program, arguments, deadline: TimeSpan.FromMinutes(5));
        Assert.True(exit == 0, $"{program} {string.Join(' ', arguments)}: {output}");
        return output;
    }
}
