using System.Collections.Immutable;
using System.Security.Cryptography;
using Signet.Identity.Jose;
using Signet.Identity.Rotation;
using Signet.Identity.X509;

namespace Signet.Authority.Rotation;

/// <summary>An authority that can sign: its certificate, its key, and the chain it hands on below the anchor.</summary>
public sealed record SigningAuthority(string Id, Certificate Certificate, AsymmetricAlgorithm Key);

/// <summary>A key that can sign JWT-SVIDs.</summary>
public sealed record JwtSigningAuthority(string KeyId, Validity Validity, AsymmetricAlgorithm Key);

/// <summary>
/// The authorities at one moment: who signs, and what relying parties must trust. Immutable; replaced whole when a rotation advances.
/// </summary>
/// <param name="Issuing">Signs X.509-SVIDs.</param>
/// <param name="Jwt">Signs JWT-SVIDs.</param>
/// <param name="Bundle">The anchors.</param>
/// <param name="JwtBundle">The JWT keys: those that sign, those that will, and those that have.</param>
/// <param name="Records">All of them.</param>
public sealed record AuthoritySnapshot(
    SigningAuthority Issuing, JwtSigningAuthority Jwt, X509Bundle Bundle, JwtBundle JwtBundle, ImmutableArray<AuthorityRecord> Records);
