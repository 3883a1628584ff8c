using System.Net;
using System.Text;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Signet.Identity.Spiffe;
using Signet.Policy;
using Signet.Proxy.L7;
using Signet.Rpc;
using Signet.Rpc.Wire.Envoy.Auth;
using Signet.Rpc.Wire.Envoy.Core;
using SocketAddress = Signet.Rpc.Wire.Envoy.Core.SocketAddress;

namespace Signet.Proxy.Authorization;

/// <summary>Asks by <c>envoy.service.auth.v3.Authorization/Check</c>.</summary>
internal sealed class GrpcAuthoriser : IAuthoriser
{
    private const int MaxAnswer = 256 * 1024;
    private const int MaxFields = 64;
    private const int MaxBody = 64 * 1024;

    private readonly GrpcChannel _channel;
    private readonly Signet.Rpc.Wire.Envoy.Auth.Authorization.AuthorizationClient _client;

    public GrpcAuthoriser(ExternalAuthoriser settings, Func<CancellationToken, ValueTask<Stream>> connect, TimeProvider time)
    {
        _channel = GrpcChannel.ForConnections(
            AuthoriserRoute.Authority(settings), connect, time, new GrpcChannelOptions { MaxReceiveMessageLength = MaxAnswer });
        _client = new(_channel);
    }

    public async Task<CheckAnswer> CheckAsync(CheckSubject subject, CancellationToken cancellationToken)
    {
        try
        {
            return Read(await _client.CheckAsync(RequestOf(subject), cancellationToken: cancellationToken).ConfigureAwait(false));
        }
        catch (RpcException e)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return new CheckAnswer(CheckResult.Failed, $"{e.StatusCode}: {Printable.Of(e.Status.Detail)}");
        }
    }

    public void Dispose() => _channel.Dispose();

    internal static CheckRequest RequestOf(CheckSubject subject)
    {
        var request = new AttributeContext.Types.Request { Time = Timestamp.FromDateTimeOffset(subject.Began) };
        if (subject.Http is { } http)
        {
            request.Http = new AttributeContext.Types.HttpRequest
            {
                Id = http.Id ?? "",
                Method = http.Method,
                Path = http.Path,
                Host = http.Host,
                Scheme = "http",
                Size = http.Size,
                Protocol = http.Version,
            };
            AddFields(request.Http, http);
        }

        var attributes = new AttributeContext { Source = PeerOf(subject.Source, subject.Peer), Destination = PeerOf(subject.Destination, subject.Self), Request = request };
        if (subject.Sni is { } sni)
        {
            attributes.TlsSession = new AttributeContext.Types.TLSSession { Sni = sni };
        }

        return new CheckRequest { Attributes = attributes };
    }

    // By name in lower case, repeated ones joined; the request line as HTTP/2 names it.
    private static void AddFields(AttributeContext.Types.HttpRequest to, CheckedRequest http)
    {
        to.Headers[":authority"] = http.Host;
        to.Headers[":method"] = http.Method;
        to.Headers[":path"] = http.Path;
        to.Headers[":scheme"] = "http";
        foreach (var (name, value) in http.Fields)
        {
            var key = name.ToLowerInvariant();
            if (key != "host")
            {
                to.Headers[key] = to.Headers.TryGetValue(key, out var before) ? $"{before},{value}" : value;
            }
        }
    }

    private static AttributeContext.Types.Peer PeerOf(IPEndPoint? endPoint, SpiffeId? id)
    {
        var peer = new AttributeContext.Types.Peer { Principal = id?.Uri ?? "" };
        if (endPoint is not null)
        {
            var address = endPoint.Address.IsIPv4MappedToIPv6 ? endPoint.Address.MapToIPv4() : endPoint.Address;
            peer.Address = new Address { SocketAddress = new SocketAddress { Address = address.ToString(), PortValue = (uint)endPoint.Port } };
        }

        return peer;
    }

    internal static CheckAnswer Read(CheckResponse response)
    {
        if (response.Status is null)
        {
            return new CheckAnswer(CheckResult.Failed, "the answer has no status");
        }

        return response.Status.Code == (int)StatusCode.OK ? ReadAllowed(response) : ReadDenied(response);
    }

    private static CheckAnswer ReadAllowed(CheckResponse response)
    {
        if (response.HttpResponseCase == CheckResponse.HttpResponseOneofCase.DeniedResponse)
        {
            return new CheckAnswer(CheckResult.Denied, "the answer says OK and brings a response for a denied request");
        }

        var ok = response.OkResponse ?? new OkHttpResponse();
        if (ok.Headers.Count + ok.HeadersToRemove.Count > MaxFields || ok.ResponseHeadersToAdd.Count > MaxFields)
        {
            return new CheckAnswer(CheckResult.Denied, $"the answer changes more than {MaxFields} fields");
        }

        var toUpstream = new List<FieldChange>();
        var toDownstream = new List<FieldChange>();
        foreach (var (options, changes) in new[] { (ok.Headers, toUpstream), (ok.ResponseHeadersToAdd, toDownstream) })
        {
            foreach (var option in options)
            {
                var change = Change(option);
                if (!FieldChange.IsSafe(change.Name, change.Value))
                {
                    return new CheckAnswer(CheckResult.Denied, $"the answer sets the field \"{Printable.Of(change.Name)}\", which is not an authoriser's to set, or can't have that value");
                }

                changes.Add(change);
            }
        }

        // What it may not remove stays, as the contract says.
        toUpstream.InsertRange(0, ok.HeadersToRemove.Where(name => FieldChange.IsSafe(name, "")).Select(name => new FieldChange(FieldAction.Remove, name, "")));
        return new CheckAnswer(CheckResult.Allowed, "allowed") { ToUpstream = toUpstream, ToDownstream = toDownstream };
    }

    private static CheckAnswer ReadDenied(CheckResponse response)
    {
        var reason = $"status {response.Status.Code}" + (response.Status.Message.Length > 0 ? $": {Printable.Of(response.Status.Message)}" : "");
        var denied = response.DeniedResponse;
        var fields = new List<KeyValuePair<string, string>>();
        foreach (var change in (denied?.Headers ?? []).Take(MaxFields).Select(Change).Where(change => FieldChange.IsSafe(change.Name, change.Value)))
        {
            fields.Add(new(change.Name, change.Value));
        }

        var body = denied is null ? null : Encoding.UTF8.GetBytes(denied.Body);
        return new CheckAnswer(CheckResult.Denied, reason)
        {
            Reply = denied is null ? null : new Reply(StatusOf((int?)denied.Status?.Code), fields, body!.Length <= MaxBody ? body : null),
        };
    }

    /// <summary>A denied request is never answered as if it had passed.</summary>
    private static int StatusOf(int? status) => status is >= 300 and <= 599 and not 304 ? status.Value : 403;

    private static FieldChange Change(HeaderValueOption option)
    {
        var header = option.Header ?? new HeaderValue();
        var value = header.RawValue.Length > 0 ? Encoding.Latin1.GetString(header.RawValue.Span) : Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(header.Value));
        var action = option.Append is { } append
            ? append ? FieldAction.Append : FieldAction.Set
            : option.AppendAction switch
            {
                HeaderValueOption.Types.HeaderAppendAction.AddIfAbsent => FieldAction.SetIfAbsent,
                HeaderValueOption.Types.HeaderAppendAction.OverwriteIfExists => FieldAction.SetIfPresent,
                _ => FieldAction.Set,
            };
        return new FieldChange(action, header.Key, value);
    }
}
