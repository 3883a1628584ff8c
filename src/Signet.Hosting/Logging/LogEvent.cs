using Microsoft.Extensions.Logging;

namespace Signet.Hosting.Logging;

/// <summary>One thing that was logged.</summary>
/// <param name="Time">When.</param>
/// <param name="Level">How bad.</param>
/// <param name="Category">By whom, as <c>Signet.Server.Api</c>.</param>
/// <param name="Id">Which event.</param>
/// <param name="Message">For people.</param>
/// <param name="Template">The message before its fields were filled in, or null.</param>
/// <param name="Fields">The fields.</param>
/// <param name="Exception">What was thrown, or null.</param>
internal readonly record struct LogEvent(
    DateTimeOffset Time,
    LogLevel Level,
    string Category,
    EventId Id,
    string Message,
    string? Template,
    IReadOnlyList<KeyValuePair<string, object?>> Fields,
    Exception? Exception);
