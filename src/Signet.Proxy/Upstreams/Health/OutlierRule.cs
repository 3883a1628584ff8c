using Signet.Policy.Objects;

namespace Signet.Proxy.Upstreams.Health;

/// <summary>What a request or connection said about its endpoint.</summary>
internal enum EndpointResult
{
    /// <summary>An answer below 500, or a connection.</summary>
    Good,

    /// <summary>An answer of 500 or more that is not a gateway's.</summary>
    ServerError,

    /// <summary>502, 503 or 504.</summary>
    GatewayError,

    /// <summary>No connection, no session, or no answer.</summary>
    LocalFailure,
}

/// <summary>Why an endpoint is left out.</summary>
internal enum EjectionCause
{
    Consecutive5xx,
    ConsecutiveGatewayErrors,
    ConsecutiveLocalOriginFailures,
}

/// <summary>How many results of a kind came in a row.</summary>
internal readonly record struct FailureRuns(int Server, int Gateway, int Local);

/// <summary>When an endpoint is left out and for how long, as Envoy's outlier detection means it. Pure.</summary>
internal static class OutlierRule
{
    /// <summary>The longest absence, unless the first one is longer already.</summary>
    public static readonly TimeSpan MaxAbsence = TimeSpan.FromSeconds(300);

    public static EndpointResult Of(int status) => status switch
    {
        502 or 503 or 504 => EndpointResult.GatewayError,
        >= 500 => EndpointResult.ServerError,
        _ => EndpointResult.Good,
    };

    /// <summary>The runs after one more result. Without splitting, a failure to answer counts as a gateway's answer.</summary>
    public static FailureRuns Next(FailureRuns runs, OutlierDetection settings, EndpointResult result) => result switch
    {
        EndpointResult.Good => default,
        EndpointResult.ServerError => new(runs.Server + 1, 0, 0),
        EndpointResult.GatewayError => new(runs.Server + 1, runs.Gateway + 1, 0),
        _ when settings.SplitsLocalOrigin => runs with { Local = runs.Local + 1 },
        _ => runs with { Server = runs.Server + 1, Gateway = runs.Gateway + 1 },
    };

    /// <summary>Why the endpoint is to be left out; null when it is not.</summary>
    public static EjectionCause? Judge(FailureRuns runs, OutlierDetection settings) =>
        IsOver(runs.Server, settings.Consecutive5xx) ? EjectionCause.Consecutive5xx
        : IsOver(runs.Gateway, settings.ConsecutiveGatewayErrors) ? EjectionCause.ConsecutiveGatewayErrors
        : settings.SplitsLocalOrigin && IsOver(runs.Local, settings.ConsecutiveLocalOriginFailures) ? EjectionCause.ConsecutiveLocalOriginFailures
        : null;

    /// <summary>Whether one more may be left out: the first always, further ones while the share that is out is below the limit.</summary>
    public static bool MayEject(OutlierDetection settings, int endpoints, int ejected) =>
        settings.MaxEjectionPercent > 0 && (ejected == 0 || 100.0 * ejected / endpoints < settings.MaxEjectionPercent);

    /// <summary>How long an endpoint is left out the so-many-th time.</summary>
    public static TimeSpan Absence(OutlierDetection settings, int times)
    {
        var longest = settings.BaseEjectionTime > MaxAbsence ? settings.BaseEjectionTime : MaxAbsence;
        return times >= longest / settings.BaseEjectionTime ? longest : settings.BaseEjectionTime * times;
    }

    /// <summary>Whether so few are well that it is better to use all of them.</summary>
    /// <param name="well">Endpoints that are neither left out nor fail their checks.</param>
    /// <param name="all">All of them.</param>
    /// <param name="minPercent">Below this share; 0 is never.</param>
    public static bool IsPanic(int well, int all, int minPercent) => 100.0 * well / all < minPercent;

    private static bool IsOver(int run, int limit) => limit > 0 && run >= limit;
}
