using System.Runtime.InteropServices;

namespace Signet.Hosting;

/// <summary>The user that this process acts as.</summary>
public static partial class NativeUser
{
    /// <summary>The effective user's number (geteuid(2)).</summary>
    [LibraryImport("libc", EntryPoint = "geteuid")]
    public static partial uint EffectiveId();
}
