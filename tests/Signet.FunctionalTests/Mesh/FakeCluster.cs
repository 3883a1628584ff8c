using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Microsoft.AspNetCore.Http;
using Signet.FunctionalTests.Attestation;
using Signet.Server.ControlPlane;

namespace Signet.FunctionalTests.Mesh;

/// <summary>Lists and watches of Kubernetes' API over HTTPS, as a cluster answers them: pages, versions, bookmarks, watches that end.</summary>
internal sealed class FakeCluster : IAsyncDisposable
{
    private const int Page = 2;

    private readonly FakeKubernetes _api;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, SortedDictionary<string, JsonNode>> _objects = KubernetesKind.All.ToDictionary(kind => "/" + kind.Path, _ => new SortedDictionary<string, JsonNode>(StringComparer.Ordinal));
    private readonly List<(string Path, Channel<string> Lines)> _watches = [];
    private int _version = 100;

    private FakeCluster(FakeKubernetes api) => _api = api;

    public MeshConfig Config => new(null, null) { Cluster = _api.Config };

    /// <summary>What must be shown.</summary>
    public string Token { get; set; } = "first";

    /// <summary>Paths and queries of the watches so far.</summary>
    public ConcurrentQueue<string> Watches { get; } = new();

    /// <summary>Answers instead, where it returns true.</summary>
    public Func<HttpContext, Task<bool>> Instead { get; set; } = _ => Task.FromResult(false);

    public static async Task<FakeCluster> StartAsync(params string[] objects)
    {
        var cluster = new FakeCluster(await FakeKubernetes.StartAsync());
        cluster._api.Instead = cluster.AnswerAsync;
        cluster.Replace(cluster.Token);
        foreach (var one in objects)
        {
            cluster.Put(one);
        }

        return cluster;
    }

    /// <summary>Puts another token in place, and accepts only that.</summary>
    public void Replace(string token)
    {
        File.WriteAllText(_api.Config.TokenFile, token + "\n");
        Token = token;
    }

    public void Put(string json) => Change(json, gone: false);

    public void Remove(string json) => Change(json, gone: true);

    /// <summary>Ends all watches in the middle of a line, or says a last word to them.</summary>
    public void End(string lastWord)
    {
        lock (_gate)
        {
            foreach (var (_, lines) in _watches)
            {
                lines.Writer.TryWrite(lastWord);
                lines.Writer.TryComplete();
            }

            _watches.Clear();
        }
    }

    /// <summary>Says something to the watches of a kind.</summary>
    public void Say(string kind, string line)
    {
        lock (_gate)
        {
            foreach (var (_, lines) in _watches.Where(watch => watch.Path == PathOf(kind)))
            {
                lines.Writer.TryWrite(line + "\n");
            }
        }
    }

    /// <summary>Takes an object away without a word.</summary>
    public void Forget(string kind, string name)
    {
        lock (_gate)
        {
            _objects[PathOf(kind)].Remove(name);
            _version++;
        }
    }

    public ValueTask DisposeAsync()
    {
        End("");
        return _api.DisposeAsync();
    }

    private static string PathOf(string kind) => "/" + KubernetesKind.All.Single(one => one.Name == kind).Path;

    private void Change(string json, bool gone)
    {
        lock (_gate)
        {
            var item = JsonNode.Parse(json)!;
            var kind = (string)item["kind"]!;
            var known = _objects[PathOf(kind)];
            var name = $"{item["metadata"]!["namespace"]}/{item["metadata"]!["name"]}";
            item["metadata"]!["resourceVersion"] = (++_version).ToString(CultureInfo.InvariantCulture);
            var type = gone ? "DELETED" : known.ContainsKey(name) ? "MODIFIED" : "ADDED";
            if (gone)
            {
                known.Remove(name);
            }
            else
            {
                known[name] = item;
            }

            Say(kind, new JsonObject { ["type"] = type, ["object"] = item.DeepClone() }.ToJsonString());
        }
    }

    private async Task AnswerAsync(HttpContext context)
    {
        if (context.Request.Headers.Authorization != $"Bearer {Token}")
        {
            context.Response.StatusCode = 401;
        }
        else if (!await Instead(context))
        {
            await (context.Request.Query.ContainsKey("watch") ? WatchAsync(context) : ListAsync(context));
        }
    }

    private Task ListAsync(HttpContext context)
    {
        var answer = new JsonObject();
        lock (_gate)
        {
            var known = _objects[context.Request.Path.Value!];
            var from = int.TryParse(context.Request.Query["continue"], CultureInfo.InvariantCulture, out var at) ? at : 0;

            // As a cluster does, items of a list do not say what they are.
            var items = known.Values.Skip(from).Take(Page).Select(item =>
            {
                var copy = item.DeepClone().AsObject();
                copy.Remove("kind");
                copy.Remove("apiVersion");
                return copy;
            });
            answer["metadata"] = new JsonObject
            {
                ["resourceVersion"] = _version.ToString(CultureInfo.InvariantCulture),
                ["continue"] = from + Page < known.Count ? (from + Page).ToString(CultureInfo.InvariantCulture) : "",
            };
            answer["items"] = new JsonArray([.. items]);
        }

        return context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(answer.ToJsonString())).AsTask();
    }

    private async Task WatchAsync(HttpContext context)
    {
        var lines = Channel.CreateBounded<string>(100);
        lock (_gate)
        {
            _watches.Add((context.Request.Path.Value!, lines));
            Watches.Enqueue(context.Request.Path + context.Request.QueryString.Value);
        }

        await context.Response.Body.FlushAsync();
        try
        {
            await foreach (var line in lines.Reader.ReadAllAsync(context.RequestAborted))
            {
                await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(line), context.RequestAborted);
                await context.Response.Body.FlushAsync(context.RequestAborted);
            }
        }
        catch (OperationCanceledException)
        {
            // It went away.
        }
    }
}
