using Signet.Benchmarks.Machines;
using Signet.Cli.Demo;

namespace Signet.Benchmarks.Peers;

/// <summary>
/// Two proxies of one make, each a process of its own: plaintext client → outbound → mutual TLS → inbound → plaintext backend.
/// </summary>
internal abstract class ProxyPair(string name, DemoProcess outbound, DemoProcess inbound) : IAsyncDisposable
{
    /// <summary>As tables call it.</summary>
    public string Name => name;

    public DemoProcess Outbound => outbound;

    public DemoProcess Inbound => inbound;

    /// <summary>Where a client's connections go on as they are.</summary>
    public required int TcpPort { get; init; }

    /// <summary>Where a client's requests are read and go on over kept connections.</summary>
    public required int HttpPort { get; init; }

    /// <summary>The same in HTTP/2 on all legs.</summary>
    public required int Http2Port { get; init; }

    public (double Outbound, double Inbound) CpuSeconds() => (ProcessFacts.CpuSeconds(outbound.Pid), ProcessFacts.CpuSeconds(inbound.Pid));

    /// <summary>PSS of both, MiB.</summary>
    public (double Outbound, double Inbound) Memory() => (ProcessFacts.Memory(outbound.Pid).Pss, ProcessFacts.Memory(inbound.Pid).Pss);

    public async ValueTask DisposeAsync()
    {
        await outbound.DisposeAsync();
        await inbound.DisposeAsync();
    }
}
