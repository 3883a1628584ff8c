using System.Diagnostics.Metrics;

namespace Signet.Server.Telemetry;

/// <summary>
/// How often the store is visited, by the method whose call it was for. The name travels with the call, and is one that the code knows, never a peer's.
/// Thread-safe.
/// </summary>
internal sealed class StoreMetrics : IDisposable
{
    /// <summary>The caller of what is done for nobody's call: upkeep, refreshes, the start.</summary>
    public const string Background = "background";

    private static readonly AsyncLocal<string?> Method = new();

    private readonly Meter _meter;
    private readonly Counter<long> _transactions;

    public StoreMetrics()
    {
        _meter = new Meter(new MeterOptions("Signet.Server") { Scope = this });
        _transactions = _meter.CreateCounter<long>("signet.server.store.transactions", description: "Visits to the store, by kind (read, write) and by the method whose call they were for.");
    }

    /// <summary>Everything from here on is for a call of this method.</summary>
    public static void Enter(string method) => Method.Value = method;

    public void Visited(bool hasWritten) => _transactions.Add(1, new("kind", hasWritten ? "write" : "read"), new("method", Method.Value ?? Background));

    public void Dispose() => _meter.Dispose();
}
