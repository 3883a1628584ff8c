using Signet.Agent.Attestation.Workload.Containers;
using Signet.Hosting.Configuration;

namespace Signet.Agent.Attestation.Workload;

/// <summary>How workloads are looked at, besides by what the kernel says of their processes, which always counts.</summary>
public sealed record WorkloadAttestorsConfig
{
    /// <summary>The socket of the system's message bus; null when units are not looked for.</summary>
    public string? SystemBus { get; init; }

    /// <summary>Docker's socket; null when it is not asked.</summary>
    public string? Docker { get; init; }

    /// <summary>containerd; null when it is not asked.</summary>
    public ContainerdConfig? Containerd { get; init; }

    /// <summary>Podman; null when it is not asked.</summary>
    public PodmanConfig? Podman { get; init; }

    /// <summary>The kubelet; null when it is not asked.</summary>
    public KubeletConfig? K8s { get; init; }

    internal static WorkloadAttestorsConfig Read(ConfigSection section)
    {
        section.Section("unix");
        return new WorkloadAttestorsConfig
        {
            SystemBus = section.Section("systemd") is { IsPresent: true } systemd ? systemd.UnixPath("socket", "/run/dbus/system_bus_socket") : null,
            Docker = section.Section("docker") is { IsPresent: true } docker ? docker.UnixPath("socket", "/var/run/docker.sock") : null,
            Containerd = section.Section("containerd") is { IsPresent: true } containerd ? ContainerdConfig.Read(containerd) : null,
            Podman = section.Section("podman") is { IsPresent: true } podman ? PodmanConfig.Read(podman) : null,
            K8s = section.Section("k8s") is { IsPresent: true } k8s ? KubeletConfig.Read(k8s) : null,
        };
    }
}

/// <summary>In which parts of containerd containers are looked for.</summary>
public sealed record ContainerdConfig
{
    /// <summary>How many namespaces may be named.</summary>
    public const int MaxNamespaces = 16;

    public string Socket { get; init; } = "/run/containerd/containerd.sock";

    /// <summary>Its namespaces, in the order in which they are asked.</summary>
    public IReadOnlyList<string> Namespaces { get; init; } = ["default"];

    internal static ContainerdConfig Read(ConfigSection section)
    {
        var (usual, namespaces) = (new ContainerdConfig(), section.Texts("namespaces"));
        if (namespaces.Count > MaxNamespaces || namespaces.Any(name => name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_')))
        {
            section.Problem("namespaces", $"names up to {MaxNamespaces} namespaces, of letters, digits, '.', '-' and '_'");
        }

        return new ContainerdConfig { Socket = section.UnixPath("socket", usual.Socket), Namespaces = namespaces.Count > 0 ? namespaces : usual.Namespaces };
    }
}

/// <summary>Which Podman engines are believed.</summary>
public sealed record PodmanConfig
{
    /// <summary>Stands for the number of a user in <see cref="UserSocket"/>.</summary>
    public const string UserPlace = "{uid}";

    /// <summary>The socket of root's engine.</summary>
    public string Socket { get; init; } = "/run/podman/podman.sock";

    /// <summary>Where the engines of other users listen.</summary>
    public string UserSocket { get; init; } = $"/run/user/{UserPlace}/podman/podman.sock";

    /// <summary>Users whose own engines are believed. What such an engine says of its containers is what its user says.</summary>
    public IReadOnlyList<uint> Users { get; init; } = [];

    internal static PodmanConfig Read(ConfigSection section)
    {
        var usual = new PodmanConfig();
        var users = new List<uint>();
        foreach (var text in section.Texts("users"))
        {
            if (uint.TryParse(text, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var uid))
            {
                users.Add(uid);
            }
            else
            {
                section.Problem("users", $"\"{Identity.Spiffe.Printable.Of(text)}\" is not the number of a user");
            }
        }

        var config = usual with { Socket = section.UnixPath("socket", usual.Socket), UserSocket = section.UnixPath("userSocket", usual.UserSocket), Users = users };
        if (!config.UserSocket.Contains(UserPlace, StringComparison.Ordinal))
        {
            section.Problem("userSocket", $"has no {UserPlace} in it, so all users would have the same engine");
        }

        return config;
    }
}
