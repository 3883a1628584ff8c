using Signet.Hosting.Configuration;
using Signet.Proxy.Telemetry;

namespace Signet.Proxy.Config;

public enum AccessLogFormat
{
    /// <summary>One line of <c>key=value</c> for people.</summary>
    Text,

    /// <summary>One JSON object per line, for machines.</summary>
    Json,
}

/// <summary>Which records are written.</summary>
public enum AccessLogFilter
{
    All,

    /// <summary>What was refused or failed, and answers from 400 on.</summary>
    Errors,

    /// <summary>What the proxy did not let happen.</summary>
    Refused,
}

/// <summary>Where a line per connection and request goes.</summary>
public sealed record AccessLogConfig
{
    private const int MaxMembers = 64;

    /// <summary>A file that is appended to; null is standard output.</summary>
    public string? Path { get; init; }

    public AccessLogFormat Format { get; init; } = AccessLogFormat.Text;

    public AccessLogFilter Only { get; init; }

    /// <summary>What a line of text says; null for the usual one.</summary>
    public AccessTemplate? Text { get; init; }

    /// <summary>What stands in a JSON line, by name and in order; null for the usual names.</summary>
    public IReadOnlyList<KeyValuePair<string, AccessTemplate>>? Json { get; init; }

    /// <summary>Whether a request's fields have to be remembered until its line is written.</summary>
    public bool WantsFields => Text is { WantsFields: true } || (Json?.Any(member => member.Value.WantsFields) ?? false);

    /// <summary>Whether a response's fields have to be remembered until its line is written.</summary>
    public bool WantsResponseFields => Text is { WantsResponseFields: true } || (Json?.Any(member => member.Value.WantsResponseFields) ?? false);

    internal static AccessLogConfig Read(ConfigSection section)
    {
        var config = new AccessLogConfig
        {
            Path = section.Text("path") is null or "stdout" ? null : section.FilePath("path"),
            Format = section.Choice("format", AccessLogFormat.Text, ("text", AccessLogFormat.Text), ("json", AccessLogFormat.Json)),
            Only = section.Choice("only", AccessLogFilter.All, ("all", AccessLogFilter.All), ("errors", AccessLogFilter.Errors), ("refused", AccessLogFilter.Refused)),
        };
        return section.Shape("template") switch
        {
            ConfigShape.Absent => config,
            ConfigShape.Section when config.Format == AccessLogFormat.Json => config with { Json = ReadMembers(section) },
            ConfigShape.Text when config.Format == AccessLogFormat.Text => config with { Text = ReadTemplate(section, "template") },
            _ => Refused(section, config),
        };
    }

    internal IAccessFormat NewFormat() => this switch
    {
        { Json: { } members } => new JsonTemplateLine(members),
        { Text: { } template } => new TemplateLine(template),
        { Format: AccessLogFormat.Json } => new JsonLine(),
        _ => new TextLine(),
    };

    private static AccessLogConfig Refused(ConfigSection section, AccessLogConfig config)
    {
        switch (section.Shape("template"))
        {
            case ConfigShape.Section:
                section.Map("template");
                break;
            case ConfigShape.Text:
                section.Text("template");
                break;
            default:
                section.Texts("template");
                break;
        }

        section.Problem("template", config.Format == AccessLogFormat.Json
            ? "is no list of names; with format json write a template per name, such as {time: \"%START_TIME%\", code: \"%RESPONSE_CODE%\"}"
            : "is no text; with format text write one line, such as \"%START_TIME% %RESPONSE_CODE%\", or write format: json");
        return config;
    }

    private static List<KeyValuePair<string, AccessTemplate>> ReadMembers(ConfigSection section)
    {
        var names = section.Section("template");
        if (names.Keys.Count is 0 or > MaxMembers)
        {
            section.Problem("template", $"has {names.Keys.Count} names; write from 1 to {MaxMembers}");
        }

        var members = new List<KeyValuePair<string, AccessTemplate>>();
        foreach (var name in names.Keys)
        {
            if (ReadTemplate(names, name) is { } template)
            {
                members.Add(new(name, template));
            }
        }

        return members;
    }

    private static AccessTemplate? ReadTemplate(ConfigSection section, string key)
    {
        if (section.Text(key) is not { } text)
        {
            return null;
        }

        if (!AccessTemplate.TryParse(text, out var template, out var problem))
        {
            section.Problem(key, problem);
        }

        return template;
    }
}
