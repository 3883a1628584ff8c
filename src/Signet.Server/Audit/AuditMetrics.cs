using System.Diagnostics.Metrics;

namespace Signet.Server.Audit;

/// <summary>What the audit trail counts. Thread-safe.</summary>
internal sealed class AuditMetrics : IDisposable
{
    private readonly Meter _meter = new("Signet.Server.Audit");
    private readonly Counter<long> _kept;
    private readonly Counter<long> _failed;
    private readonly Counter<long> _leftOut;

    public AuditMetrics()
    {
        _kept = _meter.CreateCounter<long>("signet.server.audit.records", description: "Records kept in the audit trail.");
        _failed = _meter.CreateCounter<long>("signet.server.audit.failures", description: "Records that could not be kept; what they were about was refused.");
        _leftOut = _meter.CreateCounter<long>("signet.server.audit.left.out", description: "Records that were left out because they came too fast.");
    }

    public void Kept(int count, bool succeeded) => (succeeded ? _kept : _failed).Add(count);

    public void LeftOut() => _leftOut.Add(1);

    public void Dispose() => _meter.Dispose();
}
