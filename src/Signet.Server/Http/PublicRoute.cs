namespace Signet.Server.Http;

/// <summary>What is published at a path.</summary>
/// <param name="ContentType">The media type.</param>
/// <param name="Body">The whole of it.</param>
internal sealed record PublicAnswer(string ContentType, ReadOnlyMemory<byte> Body)
{
    public static PublicAnswer Json(string json) => new("application/json; charset=utf-8", System.Text.Encoding.UTF8.GetBytes(json));
}

/// <summary>An exact path that anybody may GET.</summary>
internal sealed record PublicRoute(string Path, Func<CancellationToken, Task<PublicAnswer>> Answer);
