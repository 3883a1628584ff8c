using System.Buffers;
using System.Text;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Proxy.Config;
using Signet.Proxy.Tls;

namespace Signet.Proxy.L7;

/// <summary>
/// Tells the application of one connection's client certificate: in <c>x-forwarded-client-cert</c> as Envoy writes it, and in the fields of
/// RFC 9440. What a peer put into such fields was taken away before; the mode decides what comes back.
/// </summary>
/// <param name="config">The mode, the fields, the details.</param>
/// <param name="self">This proxy's own ID; null on a connection without mutual TLS.</param>
/// <param name="peer">Who the handshake proved to be there; null on a connection without mutual TLS.</param>
internal sealed class ForwardedClientCert(ForwardClientCertConfig config, SpiffeId? self, Peer? peer)
{
    /// <summary>The longest value of a field, in characters; a longer one is left out, and to be without one means to be nobody.</summary>
    public const int MaxValue = 24 * 1024;

    /// <summary>What stands in an unquoted value without being taken for its end.</summary>
    private static readonly SearchValues<char> Unquoted = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_*/:");

    /// <summary>
    /// A backslash in a name, as RFC 4514 §2.4 allows it. Doubled, it would stand before a quote for one thing to readers who know <c>\"</c> only, and for another to those
    /// who know <c>\\</c> too: a name could end its value and go on as the next one.
    /// </summary>
    private const string Backslash = @"\5C";

    private (string? Xfcc, string? Leaf, string? Chain)? _own;

    private bool IsMutual => peer is not null;

    private bool SaysItself => IsMutual && config.Mode is ForwardClientCertMode.SanitizeSet or ForwardClientCertMode.AppendForward;

    private bool KeepsWhatCame => config.Mode == ForwardClientCertMode.AlwaysForwardOnly || (IsMutual && config.Mode is ForwardClientCertMode.ForwardOnly or ForwardClientCertMode.AppendForward);

    /// <summary>Adds what the mode lets pass and what is to be said.</summary>
    /// <param name="incoming">The request's fields as they came.</param>
    /// <param name="fields">Those that go on, without any such field.</param>
    public void Apply(IReadOnlyList<KeyValuePair<string, string>> incoming, List<KeyValuePair<string, string>> fields)
    {
        var xfcc = KeepsWhatCame ? Came(incoming) : null;
        if (SaysItself)
        {
            var own = _own ??= Say(self!, peer!, config);
            Add(fields, "client-cert", own.Leaf);
            Add(fields, "client-cert-chain", own.Chain);
            xfcc = xfcc is null ? own.Xfcc : own.Xfcc is null ? xfcc : $"{xfcc},{own.Xfcc}";
        }

        Add(fields, ForwardedHeaders.ClientCertificate, xfcc);
    }

    /// <summary>
    /// One element: keys and values behind ";", in the order of Envoy. <c>By</c> and <c>URI</c> are not quoted there, and need not be: a SPIFFE ID
    /// has no character that ends a value.
    /// </summary>
    public static string Element(SpiffeId self, Peer peer, ClientCertDetails details)
    {
        var element = new StringBuilder($"By={self.Uri};Hash={peer.Leaf.Fingerprint}");
        if (details.HasFlag(ClientCertDetails.Cert))
        {
            element.Append(";Cert=\"").Append(Escaped([peer.Leaf])).Append('"');
        }

        if (details.HasFlag(ClientCertDetails.Chain))
        {
            element.Append(";Chain=\"").Append(Escaped(peer.Presented)).Append('"');
        }

        if (details.HasFlag(ClientCertDetails.Subject))
        {
            element.Append(";Subject=").Append(Quoted(peer.Leaf.Subject.Replace(@"\\", Backslash, StringComparison.Ordinal)));
        }

        if (details.HasFlag(ClientCertDetails.Uri))
        {
            element.Append(";URI=").Append(peer.Id!.Uri);
        }

        if (details.HasFlag(ClientCertDetails.Dns))
        {
            foreach (var name in peer.Leaf.DnsNames)
            {
                element.Append(";DNS=").Append(name.AsSpan().ContainsAnyExcept(Unquoted) ? Quoted(name.Replace(@"\", Backslash, StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)) : name);
            }
        }

        return element.ToString();
    }

    private static (string? Xfcc, string? Leaf, string? Chain) Say(SpiffeId self, Peer peer, ForwardClientCertConfig config)
    {
        var byRfc = config.Fields.HasFlag(ClientCertFields.Rfc9440);
        return (
            config.Fields.HasFlag(ClientCertFields.Xfcc) ? Element(self, peer, config.Details) : null,
            byRfc ? Bytes(peer.Leaf) : null,
            byRfc && config.Details.HasFlag(ClientCertDetails.Chain) && peer.Presented.Count > 1 ? string.Join(", ", peer.Presented.Skip(1).Select(Bytes)) : null);
    }

    private static string? Came(IReadOnlyList<KeyValuePair<string, string>> incoming)
    {
        List<string>? all = null;
        for (var i = 0; i < incoming.Count; i++)
        {
            if (incoming[i].Key.Equals(ForwardedHeaders.ClientCertificate, StringComparison.OrdinalIgnoreCase) && incoming[i].Value.Length > 0)
            {
                (all ??= []).Add(incoming[i].Value);
            }
        }

        return all is null ? null : string.Join(',', all);
    }

    private static void Add(List<KeyValuePair<string, string>> fields, string name, string? value)
    {
        if (value is { Length: <= MaxValue })
        {
            fields.Add(new(name, value));
        }
    }

    /// <summary>A byte sequence (RFC 8941 §3.3.5): <c>:base64:</c>.</summary>
    private static string Bytes(Certificate certificate) => $":{Convert.ToBase64String(certificate.Der.Span)}:";

    /// <summary>PEM in which Envoy escapes exactly these characters; all others of PEM are plain ones.</summary>
    private static string Escaped(IReadOnlyList<Certificate> chain)
    {
        var text = new StringBuilder();
        foreach (var certificate in chain)
        {
            text.Append(System.Security.Cryptography.PemEncoding.WriteString("CERTIFICATE", certificate.Der.Span)).Append('\n');
        }

        return text.Replace("\n", "%0A").Replace(" ", "%20").Replace("+", "%2B").Replace("/", "%2F").Replace("=", "%3D").ToString();
    }

    /// <summary>A quoted value, in which quotes are escaped already; what is not printable ASCII leaves as the hex pairs of RFC 4514 §2.4.</summary>
    private static string Quoted(string text)
    {
        var quoted = new StringBuilder(text.Length + 8).Append('"');
        Span<byte> bytes = stackalloc byte[4];
        foreach (var rune in text.EnumerateRunes())
        {
            if (rune.Value is >= 0x20 and <= 0x7e)
            {
                quoted.Append((char)rune.Value);
                continue;
            }

            foreach (var value in bytes[..rune.EncodeToUtf8(bytes)])
            {
                quoted.Append('\\').Append(Convert.ToHexStringLower([value]));
            }
        }

        return quoted.Append('"').ToString();
    }
}
