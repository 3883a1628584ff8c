using System.Text;
using System.Text.Json.Nodes;

namespace Signet.Hosting.Admin;

/// <summary>What an admin endpoint answers at one path.</summary>
/// <param name="Method"><c>GET</c> or <c>POST</c>; HEAD follows GET.</param>
/// <param name="Path">Exact, as <c>/config</c>.</param>
/// <param name="Answer">Answers a request; may run at once for several.</param>
public sealed record AdminRoute(string Method, string Path, Func<AdminRequest, CancellationToken, ValueTask<AdminAnswer>> Answer)
{
    /// <summary>What is there, for the list at <c>/</c>.</summary>
    public string About { get; init; } = "";

    /// <summary>A path to read.</summary>
    public static AdminRoute Get(string path, Func<AdminRequest, AdminAnswer> answer) => new("GET", path, (request, _) => new(answer(request)));

    /// <summary>A path that changes something.</summary>
    public static AdminRoute Post(string path, Func<AdminRequest, CancellationToken, ValueTask<AdminAnswer>> answer) => new("POST", path, answer);

    /// <summary><c>/live</c>: the process answers, so it lives.</summary>
    public static AdminRoute Live { get; } = Get("/live", _ => AdminAnswer.Text(200, "live\n")) with { About = "whether the process lives" };

    /// <summary><c>/</c>: what else there is, one line each.</summary>
    public static AdminRoute Index(IReadOnlyList<AdminRoute> routes)
    {
        var width = routes.Max(route => route.Path.Length);
        var text = string.Concat(routes.Select(route => $"{route.Method,-4} {route.Path.PadRight(width)}  {route.About}".TrimEnd() + "\n"));
        return Get("/", _ => AdminAnswer.Text(200, text)) with { About = "this list" };
    }

    /// <summary><c>/ready</c>: 200 when every condition holds, otherwise 503; which do and why, as JSON, either way.</summary>
    public static AdminRoute Ready(ReadinessBoard board) => Get("/ready", _ => StateOf(board)) with { About = "whether it serves, and why not" };

    private static AdminAnswer StateOf(ReadinessBoard board)
    {
        var conditions = board.Conditions;
        var ready = conditions.All(condition => condition.State.IsReady);
        return AdminAnswer.Json(ready ? 200 : 503, new JsonObject
        {
            ["ready"] = ready,
            ["conditions"] = new JsonArray([.. conditions.Select(condition => new JsonObject
            {
                ["name"] = condition.Name,
                ["ready"] = condition.State.IsReady,
                ["reason"] = condition.State.Reason,
            })]),
        });
    }
}

/// <summary>A request to an admin endpoint.</summary>
/// <param name="Query">The query, the last value of each key.</param>
/// <param name="Body">The JSON that was posted, or null.</param>
public sealed record AdminRequest(IReadOnlyDictionary<string, string> Query, JsonNode? Body)
{
    /// <summary>The field <c>Accept</c>; empty without one.</summary>
    public string Accept { get; init; } = "";
}

/// <summary>An answer of an admin endpoint.</summary>
/// <param name="Status">The HTTP status.</param>
/// <param name="ContentType">The media type.</param>
/// <param name="Body">The bytes.</param>
public sealed record AdminAnswer(int Status, string ContentType, ReadOnlyMemory<byte> Body)
{
    /// <summary>Writes the body of an answer that goes on for as long as somebody reads it; null for one that is whole already. Cancelled when the reader leaves or the endpoint stops.</summary>
    public Func<Stream, CancellationToken, Task>? Stream { get; private init; }

    /// <summary>Plain text.</summary>
    public static AdminAnswer Text(int status, string text) => new(status, "text/plain; charset=utf-8", Encoding.UTF8.GetBytes(text));

    /// <summary>JSON, indented for people.</summary>
    public static AdminAnswer Json(int status, JsonNode json) => new(status, "application/json", JsonText.Indented(json));

    /// <summary>An answer that goes on.</summary>
    public static AdminAnswer Streamed(string contentType, Func<Stream, CancellationToken, Task> write) => new(200, contentType, default) { Stream = write };

    /// <summary>A refusal: what is wrong, and what to do.</summary>
    public static AdminAnswer Problem(int status, string error, string hint) => Json(status, new JsonObject { ["error"] = error, ["hint"] = hint });
}
