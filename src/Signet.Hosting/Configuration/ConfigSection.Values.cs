using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Text;
using Signet.Hosting.Files;
using Signet.Identity;
using Signet.Identity.Spiffe;

namespace Signet.Hosting.Configuration;

/// <content>The types that a value can have.</content>
public sealed partial class ConfigSection
{
    /// <summary>The largest file that a secret is read from, in bytes.</summary>
    public const int MaxSecretBytes = 64 * 1024;

    private static readonly TrustDomain StandInTrustDomain = Identity.Spiffe.TrustDomain.Parse("stand-in");

    private delegate bool Parser<T>(string text, [NotNullWhen(true)] out T? value, out string problem);

    /// <summary>Any text; empty when it is written as <c>""</c>.</summary>
    public string? Text(string key) => Take<string>(key, AnyText);

    /// <inheritdoc cref="Text(string)"/>
    public string Text(string key, string fallback) => Text(key) ?? fallback;

    /// <summary>A text that is there and not empty.</summary>
    public string RequiredText(string key) => Take<string>(key, SomeText, required: true) ?? "";

    /// <summary>A whole number.</summary>
    public int? Integer(string key, int min = int.MinValue, int max = int.MaxValue)
    {
        return TakeValue<int>(key, Parse);

        bool Parse(string text, out int value, out string problem)
        {
            var good = int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value) && value >= min && value <= max;
            problem = good ? "" : $"\"{Printable.Of(text)}\" is not a whole number from {min} to {max}";
            return good;
        }
    }

    /// <summary>A whole number, or the fallback.</summary>
    public int Integer(string key, int fallback, int min, int max) => Integer(key, min, max) ?? fallback;

    /// <summary><c>true</c> or <c>false</c>.</summary>
    public bool? Flag(string key)
    {
        return TakeValue<bool>(key, Parse);

        static bool Parse(string text, out bool value, out string problem)
        {
            value = text == "true";
            problem = text is "true" or "false" ? "" : $"\"{Printable.Of(text)}\" is neither true nor false";
            return problem.Length == 0;
        }
    }

    /// <inheritdoc cref="Flag(string)"/>
    public bool Flag(string key, bool fallback) => Flag(key) ?? fallback;

    /// <summary>A duration (<see cref="DurationText"/>).</summary>
    public TimeSpan? Duration(string key, TimeSpan? min = null, TimeSpan? max = null)
    {
        return TakeValue<TimeSpan>(key, Parse);

        bool Parse(string text, out TimeSpan value, out string problem)
        {
            if (!DurationText.TryParse(text, out value, out problem))
            {
                return false;
            }

            problem = value < min ? $"{text} is shorter than the shortest that is allowed, {DurationText.Format(min.Value)}"
                : value > max ? $"{text} is longer than the longest that is allowed, {DurationText.Format(max.Value)}"
                : "";
            return problem.Length == 0;
        }
    }

    /// <inheritdoc cref="Duration(string, TimeSpan?, TimeSpan?)"/>
    public TimeSpan Duration(string key, TimeSpan fallback, TimeSpan? min = null, TimeSpan? max = null) => Duration(key, min, max) ?? fallback;

    /// <summary>A size in bytes (<see cref="SizeText"/>).</summary>
    public long? Size(string key) => TakeValue<long>(key, SizeText.TryParse);

    /// <inheritdoc cref="Size(string)"/>
    public long Size(string key, long fallback) => Size(key) ?? fallback;

    /// <summary>One word of a few.</summary>
    public string Choice(string key, string fallback, params ReadOnlySpan<string> allowed)
    {
        var choices = new (string, string)[allowed.Length];
        for (var i = 0; i < allowed.Length; i++)
        {
            choices[i] = (allowed[i], allowed[i]);
        }

        return Choice(key, fallback, choices);
    }

    /// <summary>What one word of a few means.</summary>
    public T Choice<T>(string key, T fallback, params (string Word, T Meaning)[] allowed)
    {
        var word = Take<string>(key, Parse);
        return word is null ? fallback : allowed.First(choice => choice.Word == word).Meaning;

        bool Parse(string text, [NotNullWhen(true)] out string? value, out string problem)
        {
            value = text;
            var words = allowed.Select(choice => choice.Word).ToList();
            problem = words.Contains(text, StringComparer.Ordinal) ? ""
                : $"\"{Printable.Of(text)}\" is not one of {string.Join(", ", words)}" + (NearestWord.To(text, words) is { } near ? $"; did you mean \"{near}\"?" : "");
            return problem.Length == 0;
        }
    }

    /// <summary>A host and a port to connect to (<see cref="EndPointText"/>): an <see cref="IPEndPoint"/> or a <see cref="DnsEndPoint"/>.</summary>
    public EndPoint? EndPoint(string key) => Take<EndPoint>(key, EndPointText.TryParse);

    /// <param name="key">The key.</param>
    /// <param name="fallback">As it would be written.</param>
    /// <inheritdoc cref="EndPoint(string)"/>
    public EndPoint EndPoint(string key, string fallback) => EndPoint(key) ?? EndPointText.Parse(fallback);

    /// <inheritdoc cref="EndPoint(string)"/>
    public EndPoint RequiredEndPoint(string key) => Take<EndPoint>(key, EndPointText.TryParse, required: true) ?? new IPEndPoint(IPAddress.None, 0);

    /// <summary>An address and a port to listen on; <c>localhost</c> is 127.0.0.1.</summary>
    public IPEndPoint? ListenEndPoint(string key)
    {
        return Take<IPEndPoint>(key, Parse);

        static bool Parse(string text, [NotNullWhen(true)] out IPEndPoint? value, out string problem)
        {
            value = null;
            if (!EndPointText.TryParse(text, out var endPoint, out problem))
            {
                return false;
            }

            value = endPoint as IPEndPoint ?? (endPoint is DnsEndPoint { Host: "localhost" } local ? new IPEndPoint(IPAddress.Loopback, local.Port) : null);
            problem = value is null ? $"\"{text}\" is a name; listen on an address, such as 127.0.0.1:{((DnsEndPoint)endPoint).Port}" : "";
            return value is not null;
        }
    }

    /// <param name="key">The key.</param>
    /// <param name="fallback">As it would be written.</param>
    /// <inheritdoc cref="ListenEndPoint(string)"/>
    public IPEndPoint ListenEndPoint(string key, string fallback) => ListenEndPoint(key) ?? (IPEndPoint)EndPointText.Parse(fallback);

    /// <summary>The absolute path of a Unix socket, with or without <c>unix:</c> before it.</summary>
    public string? UnixPath(string key) => Take<string>(key, UnixSocketPath.TryParse);

    /// <inheritdoc cref="UnixPath(string)"/>
    public string UnixPath(string key, string fallback) => UnixPath(key) ?? fallback;

    /// <summary>The path of a file or folder; a relative one starts from the folder of the configuration file.</summary>
    public string? FilePath(string key) => Take<string>(key, SomeText) is { } path ? FromHere(path) : null;

    /// <inheritdoc cref="FilePath(string)"/>
    public string FilePath(string key, string fallback) => FilePath(key) ?? fallback;

    /// <inheritdoc cref="FilePath(string)"/>
    public string RequiredFilePath(string key) => FromHere(RequiredText(key));

    /// <summary>Paths of files; relative ones start from the folder of the configuration file. Empty when the key is absent.</summary>
    public IReadOnlyList<string> FilePaths(string key) => [.. Texts(key).Select(FromHere)];

    /// <summary>A trust domain's name.</summary>
    public TrustDomain? TrustDomain(string key) => Take<TrustDomain>(key, Identity.Spiffe.TrustDomain.TryParse, namesItself: true);

    /// <inheritdoc cref="TrustDomain(string)"/>
    public TrustDomain RequiredTrustDomain(string key) =>
        Take<TrustDomain>(key, Identity.Spiffe.TrustDomain.TryParse, required: true, namesItself: true) ?? StandInTrustDomain;

    /// <summary>A SPIFFE ID.</summary>
    public SpiffeId? SpiffeId(string key) => Take<SpiffeId>(key, Identity.Spiffe.SpiffeId.TryParse, namesItself: true);

    /// <inheritdoc cref="SpiffeId(string)"/>
    public SpiffeId RequiredSpiffeId(string key) =>
        Take<SpiffeId>(key, Identity.Spiffe.SpiffeId.TryParse, required: true, namesItself: true) ?? Identity.Spiffe.SpiffeId.Of(StandInTrustDomain);

    /// <summary>
    /// A value that must not be shown: the text itself, <c>file:PATH</c> (at most <see cref="MaxSecretBytes"/>, one newline at the end is not part of
    /// it) or <c>env:NAME</c>. No problem ever repeats it.
    /// </summary>
    public Secret? Secret(string key) => Take<Secret>(key, TryReadSecret);

    /// <inheritdoc cref="Secret(string)"/>
    public Secret RequiredSecret(string key) => Take<Secret>(key, TryReadSecret, required: true) ?? new Secret("");

    private static bool AnyText(string text, [NotNullWhen(true)] out string? value, out string problem)
    {
        (value, problem) = (text, "");
        return true;
    }

    private static bool SomeText(string text, [NotNullWhen(true)] out string? value, out string problem)
    {
        (value, problem) = (text, text.Length > 0 ? "" : "is empty; write a value or leave the key out");
        return problem.Length == 0;
    }

    private bool TryReadSecret(string text, [NotNullWhen(true)] out Secret? value, out string problem)
    {
        (value, problem) = (null, "");
        if (text.StartsWith("env:", StringComparison.Ordinal))
        {
            var name = text[4..];
            problem = _context.Environment.TryGetValue(name, out var variable) && variable.Length > 0 ? ""
                : $"environment variable {Printable.Of(name)} is not set or empty; set it before starting";
            value = new Secret(variable ?? "");
            return problem.Length == 0;
        }

        if (!text.StartsWith("file:", StringComparison.Ordinal))
        {
            problem = text.Length > 0 ? "" : "is empty; write the value, file:PATH or env:NAME";
            value = new Secret(text);
            return problem.Length == 0;
        }

        var path = FromHere(text[5..]);
        try
        {
            var bytes = BoundedFile.Read(path, MaxSecretBytes);
            var content = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes);
            content = content.EndsWith('\n') ? content[..^1] : content;
            problem = content.Length > 0 ? "" : $"file {Printable.Of(path)} is empty; it should hold the value";
            value = new Secret(content);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            problem = $"file {Printable.Of(path)} can't be read: {FileReason.Of(e)}";
        }

        return problem.Length == 0;
    }

    private string FromHere(string path) => System.IO.Path.Combine(System.IO.Path.GetDirectoryName(_context.Problems.File) ?? "", path);

    private T? Take<T>(string key, Parser<T> parse, bool required = false, bool namesItself = false)
        where T : class
    {
        if (ScalarAt(key, required) is not { } scalar)
        {
            return null;
        }

        if (parse(scalar.Value, out var value, out var problem))
        {
            return value;
        }

        Refuse(key, problem, namesItself);
        return null;
    }

    private T? TakeValue<T>(string key, ValueParser<T> parse)
        where T : struct
    {
        if (ScalarAt(key, required: false) is not { } scalar)
        {
            return null;
        }

        if (parse(scalar.Value, out var value, out var problem))
        {
            return value;
        }

        Refuse(key, problem, namesItself: false);
        return null;
    }

    private ConfigScalar? ScalarAt(string key, bool required)
    {
        var entry = Ask(key, required ? "is missing; it has no default" : null);
        if (entry is null || entry.Value.Shape == ConfigShape.Absent)
        {
            return null;
        }

        if (entry.Value is ConfigScalar scalar)
        {
            return scalar;
        }

        Refuse(key, $"{Article(entry.Value)} stands where one value was expected", namesItself: false);
        return null;
    }

    /// <summary>At the root, a message that begins with the thing's own name needs no path before it.</summary>
    private void Refuse(string key, string problem, bool namesItself)
    {
        if (namesItself && Path.Length == 0)
        {
            _context.Problems.Add(_map!.Entries[key].Line, "", problem);
        }
        else
        {
            Problem(key, problem);
        }
    }
}
