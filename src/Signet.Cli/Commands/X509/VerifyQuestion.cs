using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;

namespace Signet.Cli.Commands.X509;

/// <summary>What a person or a script asks of <c>x509 verify</c>, as text; null where nothing was said.</summary>
internal sealed record VerifyQuestion
{
    public string? At { get; init; }

    public string? Profile { get; init; }

    public string? SpiffeId { get; init; }

    public string? Dns { get; init; }

    public string? Ip { get; init; }

    public string? Usage { get; init; }

    public int? MaxChain { get; init; }

    /// <summary>Makes the request out of it; certificates behind the leaf count as intermediates.</summary>
    public bool TryMake(
        IReadOnlyList<Certificate> chain, IReadOnlyList<Certificate> intermediates, IReadOnlyList<Certificate> roots, IReadOnlyList<CertificateRevocationList> lists,
        DateTimeOffset now, [NotNullWhen(true)] out PathRequest? request, out string problem)
    {
        request = null;
        SpiffeId? id = null;
        if (!TryReadTime(now, out var at, out problem)
            || !TryReadProfile(out var profile, out problem)
            || !TryReadUsage(profile, out var usage, out problem)
            || !TryReadAddress(out var address, out problem)
            || (SpiffeId is not null && !Identity.Spiffe.SpiffeId.TryParse(SpiffeId, out id, out problem)))
        {
            return false;
        }

        if (MaxChain < 0)
        {
            problem = $"the number of intermediates is {MaxChain}; 0 or more was expected";
            return false;
        }

        request = new PathRequest
        {
            Leaf = chain[0],
            Intermediates = [.. chain.Skip(1), .. intermediates],
            Roots = roots,
            At = at,
            Profile = profile,
            Usage = usage,
            MaxIntermediates = MaxChain ?? PathRequest.DefaultMaxIntermediates,
            ExpectedId = id,
            DnsName = Dns,
            IpAddress = address,
            Crls = lists,
        };
        return true;
    }

    private bool TryReadTime(DateTimeOffset now, out DateTimeOffset at, out string problem)
    {
        at = now;
        problem = "";
        if (At is null || DateTimeOffset.TryParse(At, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out at))
        {
            return true;
        }

        problem = $"\"{Printable.Of(At)}\" is not a time; write it like 2026-01-31T12:00:00Z";
        return false;
    }

    private bool TryReadProfile(out PathProfile profile, out string problem)
    {
        problem = "";
        switch (Profile)
        {
            case null or "spiffe":
                profile = PathProfile.Spiffe;
                return true;
            case "webpki":
                profile = PathProfile.WebPki;
                return true;
            case "rfc5280":
                profile = PathProfile.Rfc5280;
                return true;
            default:
                profile = default;
                problem = $"profile \"{Printable.Of(Profile)}\" is unknown; write spiffe, webpki or rfc5280";
                return false;
        }
    }

    private bool TryReadUsage(PathProfile profile, out CertificateUsage usage, out string problem)
    {
        problem = "";
        switch (Usage)
        {
            case null:
                // The web's certificates are servers' unless said otherwise.
                usage = profile == PathProfile.WebPki ? CertificateUsage.Server : CertificateUsage.Any;
                return true;
            case "server":
                usage = CertificateUsage.Server;
                return true;
            case "client":
                usage = CertificateUsage.Client;
                return true;
            default:
                usage = default;
                problem = $"usage \"{Printable.Of(Usage)}\" is unknown; write server or client";
                return false;
        }
    }

    private bool TryReadAddress(out IPAddress? address, out string problem)
    {
        address = null;
        problem = Ip is null || IPAddress.TryParse(Ip, out address) ? "" : $"\"{Printable.Of(Ip)}\" is not an IP address";
        return problem.Length == 0;
    }
}
