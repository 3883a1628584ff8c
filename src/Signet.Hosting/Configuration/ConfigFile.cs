using System.Collections;
using System.Text;
using Signet.Hosting.Files;

namespace Signet.Hosting.Configuration;

/// <summary>Reads a configuration file once.</summary>
public static class ConfigFile
{
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Reads the file and builds a configuration from it (<see cref="ConfigDocument.Read{T}"/>).</summary>
    /// <exception cref="ConfigException">The file can't be read or something in it is wrong; carries all problems.</exception>
    public static T Read<T>(string path, IReadOnlyDictionary<string, string> environment, Func<ConfigSection, T> read)
    {
        try
        {
            return Read(path, BoundedFile.Read(path, ConfigDocument.MaxBytes), environment, read);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw Unreadable(path, $"cannot be read: {FileReason.Of(e)}");
        }
    }

    /// <summary>The variables of this process, as <c>${NAME}</c> and <c>env:NAME</c> see them.</summary>
    public static IReadOnlyDictionary<string, string> ProcessEnvironment() =>
        Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().ToDictionary(pair => (string)pair.Key, pair => (string?)pair.Value ?? "", StringComparer.Ordinal);

    internal static T Read<T>(string path, ReadOnlySpan<byte> content, IReadOnlyDictionary<string, string> environment, Func<ConfigSection, T> read)
    {
        string text;
        try
        {
            text = StrictUtf8.GetString(content);
        }
        catch (DecoderFallbackException)
        {
            throw Unreadable(path, "is not UTF-8 text; is this the right file?");
        }

        return ConfigDocument.Read(path, text, environment, read);
    }

    private static ConfigException Unreadable(string path, string message) => new([new ConfigProblem(path, 0, "", message)]);
}
