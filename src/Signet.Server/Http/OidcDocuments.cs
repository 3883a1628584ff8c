using System.Text.Json.Nodes;
using Signet.Hosting.Configuration;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;

namespace Signet.Server.Http;

/// <summary>
/// What OpenID Connect readers, above all clouds, need to believe JWT-SVIDs: the discovery document of the issuer, which says where its keys are
/// (OpenID Connect Discovery 1.0 §3).
/// </summary>
internal static class OidcDocuments
{
    public const string DiscoveryPath = "/.well-known/openid-configuration";
    public const string KeysPath = "/keys";

    /// <summary>Reads the <c>iss</c> of tokens: an https URL without query and fragment (§3); null when the key is absent.</summary>
    public static string? ReadIssuer(ConfigSection section, string key)
    {
        if (section.Text(key) is not { } issuer)
        {
            return null;
        }

        if (!IsIssuer(issuer))
        {
            section.Problem(key, $"\"{Printable.Of(issuer)}\" is not an issuer; write https://HOST, under which readers find {DiscoveryPath}");
        }

        return issuer;
    }

    /// <summary>Whether a text can be the <c>iss</c> of tokens: an https URL without query and fragment (§3).</summary>
    public static bool IsIssuer(string text) => BundleEndpointUrl.TryParse(text, out var url, out _) && url.Uri.Query.Length == 0 && url.Uri.Fragment.Length == 0;

    /// <summary>The discovery document.</summary>
    public static string Discovery(string issuer) => new JsonObject
    {
        ["issuer"] = issuer,
        ["jwks_uri"] = issuer.TrimEnd('/') + KeysPath,
        ["authorization_endpoint"] = "",
        ["response_types_supported"] = new JsonArray("id_token"),
        ["subject_types_supported"] = new JsonArray("public"),
        ["id_token_signing_alg_values_supported"] = new JsonArray([.. JwsAlgorithm.Names.Select(name => JsonValue.Create(name))]),
    }.ToJsonString();
}
