using System.Runtime.InteropServices;

namespace Signet.Cli.Demo;

internal static partial class HardLink
{
    /// <summary>Whether the second name now leads to the same file as the first.</summary>
    public static bool TryCreate(string existing, string created) => Link(existing, created) == 0;

    [LibraryImport("libc", EntryPoint = "link", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Link(string existing, string created);
}
