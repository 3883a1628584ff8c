using System.Diagnostics.CodeAnalysis;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Server.Api;

/// <summary>
/// What may be asked of a server in a certification request. Only its key is ever taken from one; a request that asks for what no caller may have is
/// refused all the same, because whoever wrote it expects something else than what would be signed.
/// </summary>
internal static class RequestedKey
{
    /// <summary>For a certificate of a workload or an agent.</summary>
    public static bool TryReadLeaf(ReadOnlyMemory<byte> der, TrustDomain trustDomain, [NotNullWhen(true)] out SigningRequest? csr, out string problem)
    {
        if (TryReadAuthority(der, trustDomain, out csr, out problem) && csr.AsksForAuthority)
        {
            (csr, problem) = (null, "CSR: it asks for an authority (CA:TRUE), and a workload's or agent's certificate is none; leave the basic constraints out");
        }

        return csr is not null;
    }

    /// <summary>For an authority of a server below.</summary>
    public static bool TryReadAuthority(ReadOnlyMemory<byte> der, TrustDomain trustDomain, [NotNullWhen(true)] out SigningRequest? csr, out string problem)
    {
        if (!SigningRequest.TryParse(der, out csr, out problem))
        {
            problem = $"CSR: {problem}";
            return false;
        }

        problem = csr.UriNames switch
        {
            [] => "",
            [var uri] when !SpiffeId.TryParse(uri, out _, out var reason) => $"CSR: {reason}",
            [var uri] => SpiffeId.Parse(uri).IsMemberOf(trustDomain) ? "" : $"CSR: {uri} is not in trust domain {trustDomain}",
            _ => $"CSR names {csr.UriNames.Count} URIs; at most one SPIFFE ID is expected",
        };
        csr = problem.Length == 0 ? csr : null;
        return csr is not null;
    }
}
