using System.Diagnostics.CodeAnalysis;

namespace Signet.Hosting;

/// <summary>
/// Where sockets and state lie when a configuration does not say: for root <c>/run/signet</c> and <c>/var/lib/signet</c>, for everybody else and with
/// <c>--home DIR</c> <c>DIR/run</c> and <c>DIR/lib</c>, DIR being <c>~/.signet</c> by default. Immutable.
/// </summary>
/// <param name="Run">The folder of sockets.</param>
/// <param name="State">The folder of what must survive a restart.</param>
public sealed record Places(string Run, string State)
{
    /// <summary>Admin interface of the server.</summary>
    public string ServerSocket => Path.Combine(Run, "server.sock");

    /// <summary>Workload API, SDS, configuration of proxies.</summary>
    public string AgentSocket => Path.Combine(Run, "agent.sock");

    /// <summary>Delegated identity and debugging of the agent.</summary>
    public string AgentAdminSocket => Path.Combine(Run, "agent-admin.sock");

    public string ServerState => Path.Combine(State, "server");

    public string AgentState => Path.Combine(State, "agent");

    /// <summary>Chooses the places of a process. Touches nothing.</summary>
    /// <param name="home">What <c>--home</c> says, or null.</param>
    /// <param name="isRoot">Whether the process is root (<see cref="Environment.IsPrivilegedProcess"/>).</param>
    /// <param name="userHome">The user's home folder, or null when there is none.</param>
    /// <param name="places">The places, when the answer is true.</param>
    /// <param name="problem">Why there are none, when the answer is false; otherwise empty.</param>
    public static bool TryChoose(string? home, bool isRoot, string? userHome, [NotNullWhen(true)] out Places? places, out string problem)
    {
        problem = "";
        if (string.IsNullOrEmpty(home) && isRoot)
        {
            places = new Places("/run/signet", "/var/lib/signet");
            return true;
        }

        if (string.IsNullOrEmpty(home) && string.IsNullOrEmpty(userHome))
        {
            places = null;
            problem = "this user has no home folder to keep sockets and state in; name a folder with --home";
            return false;
        }

        var root = Path.GetFullPath(string.IsNullOrEmpty(home) ? Path.Combine(userHome!, ".signet") : home);
        places = new Places(Path.Combine(root, "run"), Path.Combine(root, "lib"));
        return true;
    }
}
