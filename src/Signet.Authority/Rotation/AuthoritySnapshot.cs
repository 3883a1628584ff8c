using System.Collections.Immutable;
using System.Security.Cryptography;
using Signet.Identity.X509;

namespace Signet.Authority.Rotation;

/// <summary>An authority that can sign: its certificate, its key, and the chain it hands on below the anchor.</summary>
public sealed record SigningAuthority(string Id, Certificate Certificate, AsymmetricAlgorithm Key);

/// <summary>
/// The authorities at one moment: who signs, and what relying parties must trust. Immutable; replaced whole when a rotation advances.
/// </summary>
public sealed record AuthoritySnapshot(SigningAuthority Issuing, X509Bundle Bundle, ImmutableArray<AuthorityRecord> Records);
