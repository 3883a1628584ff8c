using System.Text.Json;
using Signet.Hosting.Http;
using Signet.Identity.Registration;

namespace Signet.Agent.Attestation.Workload.Containers;

/// <summary>An engine with Docker's API: Docker, or Podman. Selectors are SPIRE's, which gives Podman's the type <c>docker</c> too.</summary>
internal sealed class DockerEngine(string socket, TimeProvider time) : IContainerEngine
{
    public const string Type = "docker";

    private readonly JsonApi _api = JsonApi.OverSocket(socket, new JsonApiLimits(MaxBytes: 4 * 1024 * 1024, AtOnce: 16, TimeSpan.FromSeconds(5)), time);

    public async Task<EngineContainer?> FindAsync(string id, CancellationToken cancellationToken)
    {
        try
        {
            using var answer = await _api.GetAsync($"containers/{id}/json", token: null, cancellationToken).ConfigureAwait(false);
            if (answer is null)
            {
                return null;
            }

            var container = answer.RootElement;
            var first = container.Child("State").Child("Pid") is { ValueKind: JsonValueKind.Number } number && number.TryGetInt32(out var pid) ? pid : 0;
            return new EngineContainer(container.Text("Id"), first, SelectorsOf(container));
        }
        catch (JsonApiException e)
        {
            throw new EngineException(e.Message);
        }
    }

    public void Dispose() => _api.Dispose();

    private static HashSet<Selector> SelectorsOf(JsonElement container)
    {
        var config = container.Child("Config");
        var values = config.Child("Labels").Texts().Select(label => $"label:{label.Name}:{label.Value}")
            .Concat(config.Child("Env").Items().Select(item => item.Text()).Where(text => text.Length > 0).Select(text => $"env:{text}"));
        if (config.Text("Image") is { Length: > 0 } image)
        {
            values = values.Append($"image_id:{image}");
        }

        if (container.Text("Image") is { Length: > 0 } digest)
        {
            values = values.Append($"image_config_digest:{digest}");
        }

        return [.. values.Select(value => new Selector(Type, value))];
    }
}
