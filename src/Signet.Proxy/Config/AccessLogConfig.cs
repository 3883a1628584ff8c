using Signet.Hosting.Configuration;

namespace Signet.Proxy.Config;

public enum AccessLogFormat
{
    /// <summary>One line of <c>key=value</c> for people.</summary>
    Text,

    /// <summary>One JSON object per line, for machines.</summary>
    Json,
}

/// <summary>Where a line per connection and request goes.</summary>
public sealed record AccessLogConfig
{
    /// <summary>A file that is appended to; null is standard output.</summary>
    public string? Path { get; init; }

    public AccessLogFormat Format { get; init; } = AccessLogFormat.Text;

    internal static AccessLogConfig Read(ConfigSection section) => new()
    {
        Path = section.Text("path") is null or "stdout" ? null : section.FilePath("path"),
        Format = section.Choice("format", AccessLogFormat.Text, ("text", AccessLogFormat.Text), ("json", AccessLogFormat.Json)),
    };
}
