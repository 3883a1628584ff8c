using System.Diagnostics.CodeAnalysis;
using Google.Protobuf;
using Signet.Agent.Identities;
using Signet.Identity.Jose;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.AgentCache;
using Signet.Rpc.Wire.Node;

namespace Signet.Agent.Wire;

/// <summary>What an agent kept of its server's word.</summary>
/// <param name="Agent">To whom it was said.</param>
/// <param name="HeardAt">When it was last known to be so.</param>
/// <param name="View">What was said.</param>
internal sealed record RememberedView(string Agent, DateTimeOffset HeardAt, NodeView View);

/// <summary>An SVID that an agent kept.</summary>
/// <param name="Entry">What its entry said when it was signed.</param>
/// <param name="Svid">The SVID with its key.</param>
internal sealed record RememberedSvid(RegistrationEntry Entry, X509Svid Svid);

/// <summary>What an agent keeps on its disk, as bytes. Whether it may still be served is for others to decide.</summary>
internal static class KeptIdentities
{
    /// <summary>The end of the year 9999.</summary>
    private const long MaxMilliseconds = 253_402_300_799_999;

    /// <summary>More SVIDs than any agent may be told to hold.</summary>
    private const int MaxSvids = 1_000_000;

    /// <summary>So many entries stand in one message, so that neither writing nor reading needs all of them twice.</summary>
    private const int PageEntries = 500;

    /// <summary>What most entries need less than. Room for all of them at the start is a fourth of what growing to it takes.</summary>
    private const int TypicalEntryBytes = 208;

    public static Memory<byte> Encode(RememberedView remembered)
    {
        var view = remembered.View;
        var content = new MemoryStream((view.Entries.Length + PageEntries) * TypicalEntryBytes);
        new KeptView { Agent = remembered.Agent, HeardAt = remembered.HeardAt.ToUnixTimeMilliseconds() }.WriteDelimitedTo(content);
        var page = new NodeUpdate { Revision = view.Revision, Afresh = true, Authorities = new AuthorityNotice() };
        page.Bundles.AddRange(view.Bundles.All.Select(bundle => bundle.ToWire(view.JwtBundles.GetValueOrDefault(bundle.TrustDomain) ?? JwtBundle.Empty(bundle.TrustDomain))));
        page.Authorities.Superseded.AddRange(view.Superseded.Order(StringComparer.Ordinal));
        page.Authorities.Crls.AddRange(view.Bundles.Crls.Select(list => ByteString.CopyFrom(list.Der.Span)));
        foreach (var entry in view.Entries)
        {
            if (page.Entries.Count == PageEntries)
            {
                page.More = true;
                page.WriteDelimitedTo(content);
                page = new NodeUpdate { Revision = view.Revision };
            }

            page.Entries.Add(entry.ToWire());
            page.EntriesCreated.Add(entry.CreatedAt.ToUnixTimeMilliseconds());
        }

        page.WriteDelimitedTo(content);
        return content.GetBuffer().AsMemory(0, (int)content.Length);
    }

    public static bool TryReadView(byte[] content, TrustDomain trustDomain, [NotNullWhen(true)] out RememberedView? remembered, out string problem)
    {
        remembered = null;
        try
        {
            var (input, head, reader) = (new CodedInputStream(content), new KeptView(), new NodeUpdateReader(trustDomain));
            input.ReadMessage(head);
            while (true)
            {
                var page = new NodeUpdate();
                input.ReadMessage(page);
                switch (reader.Read(page))
                {
                    case NodeReading.Complete when !input.IsAtEnd:
                        problem = "it goes on after its end";
                        return false;
                    case NodeReading.Complete(var view):
                        remembered = new RememberedView(head.Agent, DateTimeOffset.UnixEpoch.AddMilliseconds(Math.Clamp(head.HeardAt, 0, MaxMilliseconds)), view);
                        problem = "";
                        return true;
                    case NodeReading.Refused(var reason):
                        problem = reason;
                        return false;
                }
            }
        }
        catch (InvalidProtocolBufferException)
        {
            problem = "it cannot be read";
            return false;
        }
    }

    /// <summary>The answer holds keys: whoever is done with it clears it.</summary>
    public static byte[] Encode(string agent, IEnumerable<HeldSvid> svids)
    {
        var kept = new KeptSvids { Agent = agent };
        var places = new Dictionary<Certificate, uint>();
        foreach (var held in svids)
        {
            var one = new KeptSvid
            {
                Entry = held.Entry.ToWire(),
                Leaf = UnsafeByteOperations.UnsafeWrap(held.Svid.Leaf.Der),
                Key = UnsafeByteOperations.UnsafeWrap(held.Svid.ExportKeyPkcs8()),
            };
            foreach (var issuer in held.Svid.Chain.Skip(1))
            {
                if (!places.TryGetValue(issuer, out var place))
                {
                    places[issuer] = place = (uint)kept.Issuers.Count;
                    kept.Issuers.Add(UnsafeByteOperations.UnsafeWrap(issuer.Der));
                }

                one.Chain.Add(place);
            }

            kept.Svids.Add(one);
        }

        return kept.ToByteArray();
    }

    public static bool TryReadSvids(byte[] content, out string agent, [NotNullWhen(true)] out IReadOnlyList<RememberedSvid>? svids, out string problem)
    {
        (agent, svids) = ("", null);
        KeptSvids kept;
        try
        {
            kept = KeptSvids.Parser.ParseFrom(content);
        }
        catch (InvalidProtocolBufferException)
        {
            problem = "it cannot be read";
            return false;
        }

        if (!SpireMapping.TryReadChain(kept.Issuers, out var issuers, out problem))
        {
            return false;
        }

        if (kept.Svids.Count > MaxSvids)
        {
            problem = $"it has more than {MaxSvids} SVIDs";
            return false;
        }

        var read = new List<RememberedSvid>(kept.Svids.Count);
        foreach (var one in kept.Svids)
        {
            if (!TryRead(one, issuers, out var svid, out problem))
            {
                return false;
            }

            read.Add(svid);
        }

        (agent, svids) = (kept.Agent, read);
        return true;
    }

    private static bool TryRead(KeptSvid kept, IReadOnlyList<Certificate> issuers, [NotNullWhen(true)] out RememberedSvid? remembered, out string problem)
    {
        remembered = null;
        if (kept.Entry is null || kept.Chain.Count >= X509Svid.MaxChain || kept.Chain.Any(place => place >= issuers.Count))
        {
            problem = "an SVID lacks its entry or its chain";
            return false;
        }

        if (!SpireMapping.TryRead(kept.Entry, out var entry, out problem)
            || !Certificate.TryParse(kept.Leaf.Memory, out var leaf, out problem)
            || !KeyPair.TryImportPkcs8(kept.Key.Memory, out var key, out problem))
        {
            return false;
        }

        if (!X509Svid.TryCreate([leaf, .. kept.Chain.Select(place => issuers[(int)place])], key, entry.Hint.Length > 0 ? entry.Hint : null, out var svid, out problem))
        {
            key.Dispose();
            return false;
        }

        remembered = new RememberedSvid(entry, svid);
        return true;
    }
}
