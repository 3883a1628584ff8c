using System.Diagnostics.Metrics;

namespace Signet.Hosting.Telemetry;

/// <summary>The meter of what daemons share.</summary>
internal static class HostingMeter
{
    public static readonly Meter Instance = new("Signet.Hosting");
}
