using System.Collections;
using System.Text;
using Signet.Hosting.Files;

namespace Signet.Hosting.Configuration;

/// <summary>Reads a configuration file once; <see cref="Reloadable{T}"/> keeps reading it.</summary>
public static class ConfigFile
{
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Reads the file and builds a configuration from it (<see cref="ConfigDocument.Read{T}"/>).</summary>
    /// <exception cref="ConfigException">The file can't be read or something in it is wrong; carries all problems.</exception>
    public static T Read<T>(string path, IReadOnlyDictionary<string, string> environment, Func<ConfigSection, T> read) =>
        ConfigDocument.Read(path, ReadText(path), environment, read);

    /// <summary>The variables of this process, as <c>${NAME}</c> and <c>env:NAME</c> see them.</summary>
    public static IReadOnlyDictionary<string, string> ProcessEnvironment() =>
        Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().ToDictionary(pair => (string)pair.Key, pair => (string?)pair.Value ?? "", StringComparer.Ordinal);

    /// <exception cref="ConfigException">The file can't be read or is not text.</exception>
    internal static string ReadText(string path)
    {
        try
        {
            return StrictUtf8.GetString(BoundedFile.Read(path, ConfigDocument.MaxBytes));
        }
        catch (DecoderFallbackException)
        {
            throw Unreadable(path, "is not UTF-8 text; is this the right file?");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw Unreadable(path, $"cannot be read: {FileReason.Of(e)}");
        }
    }

    private static ConfigException Unreadable(string path, string message) => new([new ConfigProblem(path, 0, "", message)]);
}
