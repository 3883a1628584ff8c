using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Signet.Hosting.Acme;

/// <summary>The key of an account: P-256, signing with ES256 (RFC 7518 §3.4). Dispose it.</summary>
internal sealed class AcmeKey : IDisposable
{
    private readonly ECDsa _key;

    /// <param name="key">P-256; owned from now on.</param>
    public AcmeKey(ECDsa key)
    {
        _key = key;
        var point = key.ExportParameters(includePrivateParameters: false).Q;
        (X, Y) = (Base64Url.EncodeToString(point.X), Base64Url.EncodeToString(point.Y));
    }

    private string X { get; }

    private string Y { get; }

    /// <summary>The public key (RFC 7517).</summary>
    public JsonObject ToJwk() => new() { ["crv"] = "P-256", ["kty"] = "EC", ["x"] = X, ["y"] = Y };

    /// <summary>What proves control of a name: the token with the key's thumbprint (RFC 8555 §8.1, RFC 7638 §3).</summary>
    public string Authorize(string token) => $"{token}.{Base64Url.EncodeToString(SHA256.HashData(Encoding.UTF8.GetBytes($$"""{"crv":"P-256","kty":"EC","x":"{{X}}","y":"{{Y}}"}""")))}";

    /// <summary>A request's body: flattened JWS (RFC 8555 §6.2).</summary>
    /// <param name="protectedHeader">With alg, nonce, url and jwk or kid.</param>
    /// <param name="payload">Null for the empty one of POST-as-GET (§6.3).</param>
    public string Sign(JsonObject protectedHeader, JsonObject? payload)
    {
        var header = Base64Url.EncodeToString(Encoding.UTF8.GetBytes(protectedHeader.ToJsonString()));
        var body = payload is null ? "" : Base64Url.EncodeToString(Encoding.UTF8.GetBytes(payload.ToJsonString()));
        var signature = _key.SignData(Encoding.ASCII.GetBytes($"{header}.{body}"), HashAlgorithmName.SHA256);
        return new JsonObject { ["protected"] = header, ["payload"] = body, ["signature"] = Base64Url.EncodeToString(signature) }.ToJsonString();
    }

    public void Dispose() => _key.Dispose();
}
