using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Signet.Benchmarks.Machines;

/// <summary>What the figures were taken on.</summary>
internal static class Machine
{
    public static string Describe() => $"""
        cpu          {CpuModel()}, {Environment.ProcessorCount} cores
        kernel       {File.ReadAllText("/proc/sys/kernel/osrelease").Trim()}
        openssl      {OpenSslVersion(SafeEvpPKeyHandle.OpenSslVersion)}
        runtime      {RuntimeInformation.FrameworkDescription}
        """;

    private static string CpuModel() =>
        File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':')[1].Trim() ?? "unknown";

    // OPENSSL_VERSION_NUMBER since 3.0: 0xMNN00PP0.
    private static string OpenSslVersion(long number) => $"{number >> 28}.{(number >> 20) & 0xff}.{(number >> 4) & 0xff}";
}
