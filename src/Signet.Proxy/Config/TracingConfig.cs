using System.Globalization;
using Signet.Hosting.Configuration;
using Signet.Identity.Spiffe;

namespace Signet.Proxy.Config;

/// <summary>Where a part of the requests is reported as spans, by OTLP over HTTP.</summary>
/// <param name="EndPoint">The collector's address for traces, https or on loopback.</param>
/// <param name="Ratio">How many of the traces that begin here are recorded, from 0 to 1; others are as their beginning decided.</param>
/// <param name="Service">The name of this service in traces; null takes the workload's.</param>
public sealed record TracingConfig(Uri EndPoint, double Ratio, string? Service)
{
    private const decimal DefaultPercent = 1;

    /// <returns>Null when nothing is to be reported.</returns>
    internal static TracingConfig? Read(ConfigSection section)
    {
        if (!section.IsPresent)
        {
            return null;
        }

        var text = section.RequiredText("endpoint");
        if (!Uri.TryCreate(text, UriKind.Absolute, out var endPoint) || endPoint.Scheme is not ("http" or "https") || endPoint.UserInfo.Length > 0)
        {
            if (text.Length > 0)
            {
                section.Problem("endpoint", $"\"{Printable.Of(text)}\" is no address to send traces to; write one such as http://127.0.0.1:4318/v1/traces");
            }

            endPoint = null;
        }
        else if (endPoint.Scheme == "http" && !endPoint.IsLoopback)
        {
            section.Problem("endpoint", $"{Printable.Of(text)} is plaintext to another machine, and spans say who calls whom; write https://…, or a loopback address that an outbound entry leads on");
        }

        var percent = DefaultPercent;
        if (section.Text("samplePercent") is { } share
            && (!decimal.TryParse(share, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out percent) || percent is < 0 or > 100))
        {
            section.Problem("samplePercent", $"\"{Printable.Of(share)}\" is not a number from 0 to 100");
        }

        return endPoint is null ? null : new TracingConfig(endPoint, (double)percent / 100, section.Text("service"));
    }
}
