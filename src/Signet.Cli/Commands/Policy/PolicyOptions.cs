using System.CommandLine;

namespace Signet.Cli.Commands.Policy;

/// <summary>The options that the policy commands share.</summary>
internal static class PolicyOptions
{
    public static Option<string> Policies() => new("--policies") { Description = "A policy file, or a folder of them", HelpName = "PATH", Required = true };

    public static Option<string?> Mesh() => new("--mesh") { Description = "Mesh settings: fields of Istio's MeshConfig", HelpName = "FILE" };
}
