using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Hosting.Acme;

/// <summary>One certificate, from the account to the finished chain (RFC 8555 §7).</summary>
internal sealed class AcmeOrder(AcmeClient client, AcmeKey key, AcmeConfig config, TlsAlpnChallenges challenges, TimeProvider time)
{
    /// <summary>How often something is looked at until it is done.</summary>
    private const int MaxLooks = 60;

    private static readonly TimeSpan FirstLook = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestLook = TimeSpan.FromSeconds(10);

    /// <summary>Orders a certificate for a key.</summary>
    /// <returns>The chain, PEM, leaf first.</returns>
    /// <exception cref="AcmeException">There is none; the message says why.</exception>
    public async Task<string> ObtainAsync(AsymmetricAlgorithm certificateKey, CancellationToken cancellationToken)
    {
        // 1. An account: made, or found again by its key.
        client.UseAccount(await AccountAsync(cancellationToken).ConfigureAwait(false));

        // 2. An order for the names.
        var wanted = new JsonObject { ["identifiers"] = new JsonArray([.. config.Names.Select(name => new JsonObject { ["type"] = "dns", ["value"] = name })]) };
        var placed = await client.PostAsync(await client.ResourceAsync("newOrder", cancellationToken).ConfigureAwait(false), wanted, cancellationToken).ConfigureAwait(false);
        var place = placed.Location is { } location && AcmeClient.IsFit(location) ? location : throw new AcmeException("it took the order and did not say where it is");
        var order = placed.Body;

        // 3. Each name proved, unless it is still from before.
        var authorizations = order["authorizations"] as JsonArray ?? [];
        if (authorizations.Count > AcmeConfig.MaxNames)
        {
            throw new AcmeException($"it wants {authorizations.Count} names proved; {config.Names.Count} were ordered");
        }

        foreach (var authorization in authorizations.Select(one => one?.ToString()))
        {
            var url = Uri.TryCreate(authorization, UriKind.Absolute, out var fit) && AcmeClient.IsFit(fit) ? fit : throw new AcmeException("it names an authorization that is no https URL");
            await ProveAsync(url, cancellationToken).ConfigureAwait(false);
        }

        // 4. Signed, and fetched.
        order = await AwaitAsync(place, ["ready", "processing", "valid"], ["pending"], "order", cancellationToken).ConfigureAwait(false);
        if (AcmeClient.Text(order, "status") == "ready")
        {
            var csr = SigningRequest.Create(certificateKey, id: null, config.Names);
            await client.PostAsync(AcmeClient.Url(order, "finalize"), new JsonObject { ["csr"] = Base64Url.EncodeToString(csr) }, cancellationToken).ConfigureAwait(false);
        }

        order = await AwaitAsync(place, ["valid"], ["ready", "processing"], "order", cancellationToken).ConfigureAwait(false);
        return (await client.PostAsync(AcmeClient.Url(order, "certificate"), payload: null, cancellationToken).ConfigureAwait(false)).Text;
    }

    private async Task<Uri> AccountAsync(CancellationToken cancellationToken)
    {
        if (await client.TermsAsync(cancellationToken).ConfigureAwait(false) is { } terms && !config.TermsAgreed)
        {
            throw new AcmeException($"it has terms of service; read {Printable.Of(terms)}, and if you agree, write termsAgreed: true");
        }

        var wanted = new JsonObject { ["termsOfServiceAgreed"] = config.TermsAgreed };
        if (config.Email is { } email)
        {
            wanted["contact"] = new JsonArray($"mailto:{email}");
        }

        var account = await client.PostAsync(await client.ResourceAsync("newAccount", cancellationToken).ConfigureAwait(false), wanted, cancellationToken).ConfigureAwait(false);
        return account.Location is { } location && AcmeClient.IsFit(location) ? location : throw new AcmeException("it made an account and did not say where it is");
    }

    private async Task ProveAsync(Uri url, CancellationToken cancellationToken)
    {
        var authorization = (await client.PostAsync(url, payload: null, cancellationToken).ConfigureAwait(false)).Body;
        if (AcmeClient.Text(authorization, "status") == "valid")
        {
            return;
        }

        var name = authorization["identifier"] is JsonObject identifier ? AcmeClient.Text(identifier, "value") : null;
        if (name is null || !config.Names.Contains(name, StringComparer.Ordinal))
        {
            throw new AcmeException($"it wants \"{Printable.Of(name ?? "")}\" proved, which was not ordered");
        }

        var challenge = (authorization["challenges"] as JsonArray)?.OfType<JsonObject>().FirstOrDefault(one => AcmeClient.Text(one, "type") == TlsAlpnChallenges.Type)
            ?? throw new AcmeException($"it does not offer {TlsAlpnChallenges.Type} for {name}, and nothing else can be proved here");
        var token = AcmeClient.Text(challenge, "token");
        if (token is not { Length: > 0 and <= 512 } || token.Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_')))
        {
            throw new AcmeException($"its challenge for {name} has no token");
        }

        using (challenges.Open(name, key.Authorize(token)))
        {
            await client.PostAsync(AcmeClient.Url(challenge, "url"), [], cancellationToken).ConfigureAwait(false);
            await AwaitAsync(url, ["valid"], ["pending", "processing"], name, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<JsonObject> AwaitAsync(Uri url, string[] done, string[] underWay, string what, CancellationToken cancellationToken)
    {
        var wait = FirstLook;
        for (var looks = 0; looks < MaxLooks; looks++)
        {
            var reply = await client.PostAsync(url, payload: null, cancellationToken).ConfigureAwait(false);
            var body = reply.Body;
            var status = AcmeClient.Text(body, "status") ?? "";
            if (done.Contains(status))
            {
                return body;
            }

            if (!underWay.Contains(status))
            {
                var error = body["error"] ?? (body["challenges"] as JsonArray)?.OfType<JsonObject>().Select(one => one["error"]).FirstOrDefault(one => one is not null);
                throw new AcmeException($"{what} is {Printable.Of(status)}: {AcmeClient.Explain(error)}");
            }

            wait = reply.RetryAfter is { } asked && asked > TimeSpan.Zero ? asked : wait;
            wait = wait > LongestLook ? LongestLook : wait;
            await Task.Delay(wait, time, cancellationToken).ConfigureAwait(false);
            wait *= 2;
        }

        throw new AcmeException($"{what} was looked at {MaxLooks} times and is not done");
    }
}
