using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Google.Protobuf;
using Signet.Identity.Jose;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Spire.Types;
using Selector = Signet.Identity.Registration.Selector;

namespace Signet.Rpc.Wire;

/// <summary>SPIRE's common types and ours: what is read is checked, what is written is whole. Times on this wire are Unix seconds, 0 for none.</summary>
public static class SpireMapping
{
    public static SPIFFEID ToWire(this SpiffeId id) => new() { TrustDomain = id.TrustDomain.Name, Path = id.Path };

    public static bool TryRead(SPIFFEID? wire, string field, [NotNullWhen(true)] out SpiffeId? id, out string problem)
    {
        id = null;
        if (wire is null)
        {
            problem = $"{field} is missing";
            return false;
        }

        if (!SpiffeId.TryParse($"spiffe://{wire.TrustDomain}{wire.Path}", out id, out problem))
        {
            problem = $"{field}: {problem}";
            return false;
        }

        return true;
    }

    public static Spire.Types.Selector ToWire(this Selector selector) => new() { Type = selector.Type, Value = selector.Value };

    public static Entry ToWire(this RegistrationEntry entry)
    {
        var wire = new Entry
        {
            Id = entry.Id,
            SpiffeId = entry.SpiffeId.ToWire(),
            ParentId = entry.ParentId.ToWire(),
            X509SvidTtl = Seconds(entry.X509Ttl),
            JwtSvidTtl = Seconds(entry.JwtTtl),
            Admin = entry.Admin,
            Downstream = entry.Downstream,
            ExpiresAt = entry.ExpiresAt?.ToUnixTimeSeconds() ?? 0,
            RevisionNumber = entry.Revision,
            Hint = entry.Hint,
            CreatedAt = entry.CreatedAt.ToUnixTimeSeconds(),
            SvidKeyType = entry.Template.KeyType?.Name() ?? "",
            SvidSubject = entry.Template.Subject,
        };
        wire.SvidNames.AddRange(entry.Template.Names);
        wire.Selectors.AddRange(entry.Selectors.Select(ToWire));
        wire.DnsNames.AddRange(entry.DnsNames);
        wire.FederatesWith.AddRange(entry.FederatesWith.Select(trustDomain => trustDomain.Name));
        return wire;
    }

    public static bool TryRead(Entry wire, [NotNullWhen(true)] out RegistrationEntry? entry, out string problem)
    {
        entry = null;
        if (!TryRead(wire.SpiffeId, "spiffe_id", out var id, out problem) || !TryRead(wire.ParentId, "parent_id", out var parent, out problem))
        {
            return false;
        }

        if (wire.StoreSvid)
        {
            problem = "store_svid is not supported; leave it out";
            return false;
        }

        if (wire.Selectors.Count > RegistrationEntry.MaxSelectors || wire.DnsNames.Count > RegistrationEntry.MaxDnsNames)
        {
            problem = $"entry has more than {RegistrationEntry.MaxSelectors} selectors or {RegistrationEntry.MaxDnsNames} DNS names";
            return false;
        }

        if (!TryReadTemplate(wire, out var template, out problem))
        {
            return false;
        }

        if (!TryReadSelectors(wire.Selectors, out var selectors, out problem) || !TryReadDomains(wire.FederatesWith, out var federates, out problem))
        {
            return false;
        }

        entry = new RegistrationEntry
        {
            Id = wire.Id,
            SpiffeId = id,
            ParentId = parent,
            Selectors = selectors,
            X509Ttl = Span(wire.X509SvidTtl),
            JwtTtl = Span(wire.JwtSvidTtl),
            DnsNames = [.. wire.DnsNames],
            Template = template,
            FederatesWith = federates,
            Hint = wire.Hint,
            Admin = wire.Admin,
            Downstream = wire.Downstream,
            ExpiresAt = Time(wire.ExpiresAt),
            Revision = wire.RevisionNumber,
            CreatedAt = Time(wire.CreatedAt) ?? DateTimeOffset.UnixEpoch,
        };
        return true;
    }

    private static bool TryReadTemplate(Entry wire, out SvidTemplate template, out string problem)
    {
        template = SvidTemplate.None;
        var keyType = default(KeyType);
        problem = wire.SvidNames.Count > SvidTemplate.MaxNames ? $"entry has more than {SvidTemplate.MaxNames} further names" : "";
        if (problem.Length > 0 || (wire.SvidKeyType.Length > 0 && !KeyTypes.TryParse(wire.SvidKeyType, out keyType, out problem)))
        {
            return false;
        }

        if (wire.SvidKeyType.Length > 0 || wire.SvidSubject.Length > 0 || wire.SvidNames.Count > 0)
        {
            template = new SvidTemplate { KeyType = wire.SvidKeyType.Length > 0 ? keyType : null, Subject = wire.SvidSubject, Names = [.. wire.SvidNames] };
        }

        return true;
    }

    /// <inheritdoc cref="ToWire(X509Bundle, JwtBundle)"/>
    public static Bundle ToWire(this SpiffeBundle bundle)
    {
        var wire = bundle.X509.ToWire(bundle.Jwt);
        wire.WitAuthorities.AddRange(bundle.Wit.ToWire());
        return wire;
    }

    /// <summary>The keys of WIT-SVIDs.</summary>
    public static IEnumerable<WITKey> ToWire(this WitBundle bundle) => bundle.Authorities.Select(authority => new WITKey
    {
        PublicKey = ByteString.CopyFrom(authority.Key.SubjectPublicKeyInfo.Span),
        KeyId = authority.KeyId,
        ExpiresAt = authority.ExpiresAt?.ToUnixTimeSeconds() ?? 0,
    });

    /// <summary>The WIT part of a trust domain's bundle.</summary>
    public static bool TryReadWit(Bundle wire, TrustDomain trustDomain, [NotNullWhen(true)] out WitBundle? bundle, out string problem)
    {
        bundle = null;
        return TryReadKeys(wire.WitAuthorities.Select(key => (key.KeyId, key.PublicKey, key.ExpiresAt)), out var authorities, out problem)
            && WitBundle.TryCreate(trustDomain, authorities, out bundle, out problem);
    }

    /// <summary>Both halves of a trust domain's bundle. A sequence number of 0 is none.</summary>
    public static bool TryReadWhole(Bundle? wire, [NotNullWhen(true)] out SpiffeBundle? bundle, out string problem)
    {
        bundle = TryRead(wire, out X509Bundle? x509, out problem) && TryRead(wire!, x509.TrustDomain, out var jwt, out problem)
            && TryReadWit(wire!, x509.TrustDomain, out var wit, out problem) ? SpiffeBundle.Of(x509, jwt).With(wit) : null;
        if (bundle?.X509.Authorities.FirstOrDefault(authority => !authority.IsAuthority) is { } leaf)
        {
            (bundle, problem) = (null, $"the bundle holds {leaf}, which is not an authority (cA=true is missing)");
        }

        return bundle is not null;
    }

    /// <summary>Both halves of a trust domain's bundle.</summary>
    public static Bundle ToWire(this X509Bundle bundle, JwtBundle jwt)
    {
        var wire = new Bundle
        {
            TrustDomain = bundle.TrustDomain.Name,
            SequenceNumber = bundle.Sequence ?? 0,
            RefreshHint = (long)(bundle.RefreshHint?.TotalSeconds ?? 0),
        };
        wire.X509Authorities.AddRange(bundle.Authorities.Select(authority => new X509Certificate { Asn1 = ByteString.CopyFrom(authority.Der.Span) }));
        wire.JwtAuthorities.AddRange(jwt.Authorities.Select(authority => new JWTKey
        {
            PublicKey = ByteString.CopyFrom(authority.Key.SubjectPublicKeyInfo.Span),
            KeyId = authority.KeyId,
            ExpiresAt = authority.ExpiresAt?.ToUnixTimeSeconds() ?? 0,
        }));
        return wire;
    }

    /// <summary>The JWT half of a trust domain's bundle.</summary>
    public static bool TryRead(Bundle wire, TrustDomain trustDomain, [NotNullWhen(true)] out JwtBundle? bundle, out string problem)
    {
        bundle = null;
        return TryReadKeys(wire.JwtAuthorities.Select(key => (key.KeyId, key.PublicKey, key.ExpiresAt)), out var authorities, out problem)
            && JwtBundle.TryCreate(trustDomain, authorities, out bundle, out problem);
    }

    private static bool TryReadKeys(IEnumerable<(string KeyId, ByteString PublicKey, long ExpiresAt)> wire, out List<JwtAuthority> authorities, out string problem)
    {
        (authorities, problem) = ([], "");
        foreach (var (keyId, publicKey, expiresAt) in wire.Take(JwtBundle.MaxAuthorities + 1))
        {
            if (!JwtAuthority.TryCreate(keyId, publicKey.Memory, Time(expiresAt), out var authority, out problem))
            {
                return false;
            }

            authorities.Add(authority);
        }

        return true;
    }

    public static bool TryRead(Bundle? wire, [NotNullWhen(true)] out X509Bundle? bundle, out string problem)
    {
        bundle = null;
        if (wire is null)
        {
            problem = "bundle is missing";
            return false;
        }

        if (wire.X509Authorities.Count > X509Bundle.MaxAuthorities)
        {
            problem = $"bundle has {wire.X509Authorities.Count} authorities; the limit is {X509Bundle.MaxAuthorities}";
            return false;
        }

        if (!TrustDomain.TryParse(wire.TrustDomain, out var trustDomain, out problem) || !TryReadChain(wire.X509Authorities.Select(a => a.Asn1), out var authorities, out problem))
        {
            return false;
        }

        bundle = X509Bundle.Create(trustDomain, authorities, wire.SequenceNumber > 0 ? wire.SequenceNumber : null, Span(wire.RefreshHint));
        return true;
    }

    /// <summary>Certificates, one DER each.</summary>
    public static bool TryReadChain(IEnumerable<ByteString> ders, out IReadOnlyList<Certificate> chain, out string problem)
    {
        var read = new List<Certificate>();
        chain = read;
        problem = "";
        foreach (var der in ders)
        {
            if (!Certificate.TryParse(der.Memory, out var certificate, out problem))
            {
                return false;
            }

            read.Add(certificate);
        }

        return true;
    }

    public static X509SVID ToWire(IReadOnlyList<Certificate> chain, SpiffeId id)
    {
        var wire = new X509SVID { Id = id.ToWire(), ExpiresAt = chain[0].NotAfter.ToUnixTimeSeconds() };
        wire.CertChain.AddRange(chain.Select(certificate => ByteString.CopyFrom(certificate.Der.Span)));
        return wire;
    }

    public static bool TryReadSelectors(IEnumerable<Spire.Types.Selector> wire, out ImmutableArray<Selector> selectors, out string problem)
    {
        var read = ImmutableArray.CreateBuilder<Selector>();
        selectors = [];
        problem = "";
        foreach (var one in wire)
        {
            if (!Selector.TryParse($"{one.Type}:{one.Value}", out var selector, out problem))
            {
                return false;
            }

            read.Add(selector);
        }

        selectors = read.ToImmutable();
        return true;
    }

    public static bool TryReadDomains(IEnumerable<string> wire, out ImmutableArray<TrustDomain> domains, out string problem)
    {
        var read = ImmutableArray.CreateBuilder<TrustDomain>();
        domains = [];
        problem = "";
        foreach (var name in wire)
        {
            if (!TrustDomain.TryParse(name, out var trustDomain, out problem))
            {
                return false;
            }

            read.Add(trustDomain);
        }

        domains = read.ToImmutable();
        return true;
    }

    private static int Seconds(TimeSpan? span) => (int)(span?.TotalSeconds ?? 0);

    private static TimeSpan? Span(long seconds) => seconds > 0 ? TimeSpan.FromSeconds(Math.Min(seconds, int.MaxValue)) : null;

    private static DateTimeOffset? Time(long seconds) => seconds is > 0 and <= 253402300799 ? DateTimeOffset.FromUnixTimeSeconds(seconds) : null;
}
