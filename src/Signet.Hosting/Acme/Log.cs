using Microsoft.Extensions.Logging;

namespace Signet.Hosting.Acme;

/// <summary>Events 1400-1449.</summary>
internal static partial class Log
{
    [LoggerMessage(1400, LogLevel.Information, "certificate for {Names} is ordered at {Directory}: {Reason}")]
    public static partial void CertificateOrdered(this ILogger log, string names, string directory, string reason);

    [LoggerMessage(1401, LogLevel.Information, "certificate for {Names} obtained: serial {Serial}, valid until {NotAfter}")]
    public static partial void CertificateObtained(this ILogger log, string names, string serial, DateTimeOffset notAfter);

    [LoggerMessage(1402, LogLevel.Error, "certificate for {Names} could not be obtained, {Held}; the next attempt is in {Wait}: {Reason}")]
    public static partial void CertificateNotObtained(this ILogger log, string names, string held, string wait, string reason);

    [LoggerMessage(1403, LogLevel.Warning, "certificate in {File} can't be used, another one is ordered: {Problem}")]
    public static partial void KeptCertificateRefused(this ILogger log, string file, string problem);
}
