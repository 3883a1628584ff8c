using System.Net;
using System.Net.Sockets;
using Signet.Proxy.Config;
using Signet.Proxy.Telemetry;

namespace Signet.Proxy.L7;

/// <summary>What one connection's requests are told about where they came from, before anybody decides about them: policies judge what goes on.</summary>
/// <param name="config">Which fields.</param>
/// <param name="certificate">What is said of the client's certificate.</param>
/// <param name="client">The client's address.</param>
/// <param name="isTls">Whether it came by TLS.</param>
/// <param name="sampler">Whether a trace that begins here is recorded; null where none is.</param>
internal sealed class HopFields(HopFieldsConfig config, ForwardedClientCert certificate, IPAddress client, bool isTls, Func<bool>? sampler)
{
    private const string ForwardedFor = "x-forwarded-for";
    private const string ForwardedName = "forwarded";
    private const string ViaName = "via";

    private readonly string _address = client.IsIPv4MappedToIPv6 ? client.MapToIPv4().ToString() : client.ToString();
    private readonly bool _joins = config.JoinsTraces ?? (sampler is not null);

    /// <param name="incoming">The request's fields as they came.</param>
    /// <param name="host">The host that was asked for.</param>
    /// <param name="version">The version by which it came: <c>1.1</c>.</param>
    /// <param name="fields">Those that go on.</param>
    /// <param name="record">Learns of the trace and the ID.</param>
    public void Apply(IReadOnlyList<KeyValuePair<string, string>> incoming, string host, string version, List<KeyValuePair<string, string>> fields, AccessRecord record)
    {
        record.PrefersText = PrefersText(fields);
        if (!config.KeepsRequestId)
        {
            fields.RemoveAll(field => field.Key.Equals(ForwardedHeaders.RequestId, StringComparison.OrdinalIgnoreCase));
            record.RequestId = RequestId.Take(fields);
        }

        if (config.XForwardedFor != HopField.Pass)
        {
            Change(fields, ForwardedFor, config.XForwardedFor, _address);
        }

        if (config.Forwarded != HopField.Pass)
        {
            Change(fields, ForwardedName, config.Forwarded, Element(host));
        }

        if (config.Via is { } name)
        {
            Change(fields, ViaName, HopField.Append, $"{version} {name}");
        }

        Trace(fields, record);
        certificate.Apply(incoming, fields);
    }

    private static void Change(List<KeyValuePair<string, string>> fields, string name, HopField action, string own)
    {
        var came = action == HopField.Append ? string.Join(", ", fields.Where(field => Is(field, name) && field.Value.Length > 0).Select(field => field.Value)) : "";
        fields.RemoveAll(field => Is(field, name));
        if (action != HopField.Remove)
        {
            fields.Add(new(name, came.Length > 0 ? $"{came}, {own}" : own));
        }
    }

    /// <summary>forwarded-element (RFC 7239 §4). An IPv6 address and a host with a port need quotes; neither has any in it.</summary>
    private string Element(string host)
    {
        var isV6 = IPAddress.TryParse(_address, out var address) && address.AddressFamily == AddressFamily.InterNetworkV6;
        return $"for={(isV6 ? $"\"[{_address}]\"" : _address)};host=\"{host}\";proto={(isTls ? "https" : "http")}";
    }

    private void Trace(List<KeyValuePair<string, string>> fields, AccessRecord record)
    {
        var at = fields.FindIndex(field => Is(field, TraceContext.ParentField));
        if (!_joins)
        {
            record.Trace = at >= 0 ? TraceContext.Seen(fields[at].Value) : null;
            return;
        }

        // Two of them say two things, and a trace that can't be read is none: both begin anew, without the old one's state.
        var isOne = at >= 0 && fields.FindLastIndex(field => Is(field, TraceContext.ParentField)) == at;
        var known = isOne ? TraceContext.Continue(fields[at].Value) : null;
        record.Trace = known ?? TraceContext.Begin(sampler?.Invoke() ?? false);
        var state = known is null ? "" : string.Join(",", fields.Where(field => Is(field, TraceContext.StateField)).Select(field => field.Value));
        fields.RemoveAll(field => Is(field, TraceContext.ParentField) || Is(field, TraceContext.StateField));
        fields.Add(new(TraceContext.ParentField, record.Trace.Field));
        if (TraceContext.IsState(state))
        {
            fields.Add(new(TraceContext.StateField, state));
        }
    }

    /// <summary>Whether the client takes text and nothing that JSON could be.</summary>
    private static bool PrefersText(List<KeyValuePair<string, string>> fields)
    {
        var text = false;
        foreach (var field in fields)
        {
            if (!Is(field, "accept"))
            {
                continue;
            }

            foreach (var range in field.Value.Split(','))
            {
                var type = range.AsSpan().Trim();
                text |= type.StartsWith("text/", StringComparison.OrdinalIgnoreCase);
                if (type.StartsWith("*/*", StringComparison.Ordinal) || type.StartsWith("application/*", StringComparison.OrdinalIgnoreCase) || type.Contains("json", StringComparison.OrdinalIgnoreCase))
                {
                    return false;
                }
            }
        }

        return text;
    }

    private static bool Is(KeyValuePair<string, string> field, string name) => field.Key.Equals(name, StringComparison.OrdinalIgnoreCase);
}
