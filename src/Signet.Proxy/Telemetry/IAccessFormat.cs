namespace Signet.Proxy.Telemetry;

/// <summary>Turns records into lines. Pure, but may remember what many lines have in common: one thread at a time.</summary>
internal interface IAccessFormat
{
    /// <summary>Adds one whole line, its end included.</summary>
    void Write(LineBuffer to, AccessRecord record);
}
