using Signet.Hosting.Configuration;

namespace Signet.Proxy.Config;

/// <summary>What becomes of <c>x-forwarded-client-cert</c>. The words and what they do are Envoy's.</summary>
public enum ForwardClientCertMode
{
    /// <summary>None goes on.</summary>
    Sanitize,

    /// <summary>What came in goes on, if the connection is mutual TLS.</summary>
    ForwardOnly,

    /// <summary>The client's certificate is added behind what came in, if the connection is mutual TLS.</summary>
    AppendForward,

    /// <summary>The client's certificate replaces what came in.</summary>
    SanitizeSet,

    /// <summary>What came in goes on, whoever sent it.</summary>
    AlwaysForwardOnly,
}

/// <summary>In which fields the application learns of a client's certificate.</summary>
[Flags]
public enum ClientCertFields
{
    /// <summary><c>x-forwarded-client-cert</c>.</summary>
    Xfcc = 1,

    /// <summary><c>Client-Cert</c> and <c>Client-Cert-Chain</c> (RFC 9440).</summary>
    Rfc9440 = 2,
}

/// <summary>What is said of a client's certificate, beside its hash.</summary>
[Flags]
public enum ClientCertDetails
{
    None = 0,
    Subject = 1,
    Cert = 2,
    Chain = 4,
    Uri = 8,
    Dns = 16,
}

/// <summary>How the application learns of the client's certificate.</summary>
public sealed record ForwardClientCertConfig
{
    public ForwardClientCertMode Mode { get; init; } = ForwardClientCertMode.SanitizeSet;

    public ClientCertFields Fields { get; init; } = ClientCertFields.Xfcc;

    public ClientCertDetails Details { get; init; } = ClientCertDetails.Subject | ClientCertDetails.Uri;

    internal static (string Word, ForwardClientCertMode Mode)[] Words =>
    [
        ("sanitize", ForwardClientCertMode.Sanitize), ("forwardOnly", ForwardClientCertMode.ForwardOnly), ("appendForward", ForwardClientCertMode.AppendForward),
        ("sanitizeSet", ForwardClientCertMode.SanitizeSet), ("alwaysForwardOnly", ForwardClientCertMode.AlwaysForwardOnly),
    ];

    internal static (string Word, ClientCertDetails Detail)[] DetailWords =>
    [
        ("hash", ClientCertDetails.None), ("subject", ClientCertDetails.Subject), ("cert", ClientCertDetails.Cert), ("chain", ClientCertDetails.Chain), ("uri", ClientCertDetails.Uri),
        ("dns", ClientCertDetails.Dns),
    ];

    internal static ForwardClientCertConfig Read(ConfigSection section, ForwardClientCertMode mode = ForwardClientCertMode.SanitizeSet)
    {
        var defaults = new ForwardClientCertConfig();
        return new()
        {
            Mode = section.Choice("mode", mode, Words),
            Fields = section.Choice("header", defaults.Fields, ("xfcc", ClientCertFields.Xfcc), ("rfc9440", ClientCertFields.Rfc9440), ("both", ClientCertFields.Xfcc | ClientCertFields.Rfc9440)),
            Details = section.Shape("details") == ConfigShape.Absent ? defaults.Details : ReadDetails(section),
        };
    }

    private static ClientCertDetails ReadDetails(ConfigSection section)
    {
        var details = ClientCertDetails.None;
        foreach (var text in section.Texts("details"))
        {
            var known = Array.Find(DetailWords, one => one.Word == text);
            details |= known.Detail;
            if (known.Word is null)
            {
                section.Problem("details", $"\"{Identity.Spiffe.Printable.Of(text)}\" is not one of {string.Join(", ", DetailWords.Select(one => one.Word))}");
            }
        }

        return details;
    }
}
