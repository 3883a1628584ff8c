using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Signet.Identity.Spiffe;

namespace Signet.Hosting.Files;

/// <summary>Whose a file is to be.</summary>
/// <param name="User">The user's number; null leaves it the process's own.</param>
/// <param name="Group">The group's number; null leaves it the process's own.</param>
public readonly record struct FileOwner(uint? User, uint? Group)
{
    private const int MaxAccountsBytes = 4 * 1024 * 1024;

    public bool IsUnchanged => User is null && Group is null;

    /// <summary>Finds a user's number, by name or as it is. Never throws.</summary>
    public static bool TryFindUser(string text, [NotNullWhen(true)] out uint? user, out string problem) => TryFind(text, "user", "/etc/passwd", out user, out problem);

    /// <summary>Finds a group's number, by name or as it is. Never throws.</summary>
    public static bool TryFindGroup(string text, [NotNullWhen(true)] out uint? group, out string problem) => TryFind(text, "group", "/etc/group", out group, out problem);

    /// <summary>The first field is the name, the third the number, in both files (passwd(5), group(5)).</summary>
    private static bool TryFind(string text, string what, string file, [NotNullWhen(true)] out uint? id, out string problem)
    {
        (id, problem) = (null, "");
        if (uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number != uint.MaxValue)
        {
            id = number;
            return true;
        }

        try
        {
            var lines = System.Text.Encoding.UTF8.GetString(BoundedFile.Read(file, MaxAccountsBytes)).Split('\n');
            var fields = lines.Select(line => line.Split(':')).FirstOrDefault(fields => fields.Length > 2 && fields[0] == text);
            if (fields is not null && uint.TryParse(fields[2], NumberStyles.None, CultureInfo.InvariantCulture, out number))
            {
                id = number;
                return true;
            }

            problem = $"there is no {what} \"{Printable.Of(text)}\" in {file}; write its number if it is known elsewhere";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problem = $"{file} can't be read: {FileReason.Of(e)}; write the {what}'s number";
        }

        return false;
    }
}
