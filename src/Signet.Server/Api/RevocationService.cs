using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Authority.Revocation;
using Signet.Authority.Rotation;
using Signet.Hosting;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509.Revocation;
using Signet.Rpc.Wire.Authority;
using Signet.Server.Upkeep;

namespace Signet.Server.Api;

/// <summary>Certificates that have not expired, from the log of those that were signed: one by its serial number, or those of a SPIFFE ID.</summary>
internal delegate Task<IReadOnlyList<LiveCertificate>> FindLive(string? serial, string? spiffeId, int limit, DateTimeOffset now, CancellationToken cancellationToken);

/// <summary>signet.authority.v1.Revocations: what an operator revokes one by one is told to every agent at once.</summary>
internal sealed class RevocationService(
    AuthorityRotation authorities, FindLive find, Acknowledgements acknowledgements, ChangeSignal bundleChanges, TimeProvider time, ILogger<RevocationService> log) : Revocations.RevocationsBase
{
    /// <summary>20 bytes (RFC 5280 §4.1.2.2).</summary>
    private const int MaxSerialLength = 40;

    public override Task<RevokeResponse> Revoke(RevokeRequest request, ServerCallContext context) => Rpcs.GuardAsync(async () =>
    {
        var (serial, id, reason) = Read(request);
        CallOf.Of(context).About(serial is null ? id! : $"certificate {serial}");
        var found = await find(serial, id, AuthorityLedger.MaxRevokedCertificates + 1, time.GetUtcNow(), context.CancellationToken).ConfigureAwait(false);
        if (found.Count == 0)
        {
            throw Rpcs.NotFound(serial is null ? $"no certificate of {id} was signed here that has not expired" : $"no certificate with the serial number {serial} was signed here, or it has expired");
        }

        if (found.FirstOrDefault(one => ReservedIds.IsAgent(SpiffeId.Parse(one.SpiffeId))) is { } agent)
        {
            throw new RpcException(new Status(StatusCode.FailedPrecondition, $"certificate {agent.Serial} is that of the agent {agent.SpiffeId}; take the agent out instead: signet agent ban, signet agent evict"));
        }

        var by = CallerOf.Name(context);
        var revoked = await authorities.RevokeAsync(found, reason, by, context.CancellationToken).ConfigureAwait(false);
        foreach (var one in revoked)
        {
            log.CertificateRevoked(one.Serial, one.SpiffeId, reason.Name(), by);
        }

        acknowledgements.Published();
        bundleChanges.Raise();
        var response = new RevokeResponse();
        response.Revocations.AddRange(found.Select(one => ToWire(authorities.Current.Ledger.RevokedCertificates[one.Serial])));
        return response;
    });

    public override Task<ListRevocationsResponse> List(ListRevocationsRequest request, ServerCallContext context)
    {
        var response = new ListRevocationsResponse();
        response.Revocations.AddRange(authorities.Current.Ledger.RevokedCertificates.Values.OrderByDescending(one => one.At).ThenBy(one => one.Serial, StringComparer.Ordinal).Select(ToWire));
        return Task.FromResult(response);
    }

    private static (string? Serial, string? Id, RevocationReason Reason) Read(RevokeRequest request)
    {
        if ((request.Serial.Length > 0) == (request.SpiffeId.Length > 0))
        {
            throw Rpcs.Invalid("name either a serial number or a SPIFFE ID");
        }

        if (!RevocationReasons.TryParse(request.Reason.Length > 0 ? request.Reason : RevocationReason.Unspecified.Name(), out var reason, out var problem))
        {
            throw Rpcs.Invalid(problem);
        }

        if (request.SpiffeId.Length > 0)
        {
            return SpiffeId.TryParse(request.SpiffeId, out var id, out problem) ? (null, id.Uri, reason.Value) : throw Rpcs.Invalid(problem);
        }

        var serial = request.Serial.Replace(":", "", StringComparison.Ordinal).ToLowerInvariant();
        return serial.Length <= MaxSerialLength && serial.All(char.IsAsciiHexDigit)
            ? (serial, null, reason.Value)
            : throw Rpcs.Invalid($"\"{Printable.Of(request.Serial)}\" is not a serial number in hex");
    }

    private static Revocation ToWire(RevokedCertificate revoked) => new()
    {
        Serial = revoked.Serial,
        SpiffeId = revoked.SpiffeId,
        AuthorityId = revoked.AuthorityId,
        ExpiresAt = revoked.NotAfter.ToUnixTimeSeconds(),
        RevokedAt = revoked.At.ToUnixTimeSeconds(),
        Reason = revoked.Reason.Name(),
        RevokedBy = revoked.By,
    };
}
