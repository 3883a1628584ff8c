using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Signet.Hosting.Files;

/// <summary>What the framework does not tell about a path: its owner, and how to make a rename durable. Linux.</summary>
internal static partial class NativeFile
{
    private const int AtCurrentFolder = -100, NoFollow = 0x100, AskTypeModeAndOwner = 0x1 | 0x2 | 0x8, NoEntry = 2;
    private const int OpenFolder = 0x10000, OpenCloseOnExec = 0x80000, TypeMask = 0xF000, TypeSocket = 0xC000, TypeFile = 0x8000, ModeMask = 0xFFF;

    /// <param name="Owner">The user id.</param>
    /// <param name="Mode">Permission bits.</param>
    /// <param name="IsSocket">Whether it is a Unix socket.</param>
    /// <param name="IsFile">Whether it is an ordinary file.</param>
    public readonly record struct Facts(uint Owner, UnixFileMode Mode, bool IsSocket, bool IsFile);

    /// <summary>The user that this process acts as.</summary>
    public static uint EffectiveUser => EffectiveUserId();

    /// <summary>What lies at the path, or null when nothing does.</summary>
    /// <exception cref="IOException">The path can't be looked at.</exception>
    public static Facts? Look(string path, bool followLink)
    {
        if (StatX(AtCurrentFolder, path, followLink ? 0 : NoFollow, AskTypeModeAndOwner, out var found) == 0)
        {
            return new Facts(found.Owner, (UnixFileMode)(found.Mode & ModeMask), (found.Mode & TypeMask) == TypeSocket, (found.Mode & TypeMask) == TypeFile);
        }

        var error = Marshal.GetLastPInvokeError();
        return error == NoEntry ? null : throw new IOException(new Win32Exception(error).Message, error);
    }

    /// <summary>Makes creations and renames in a folder survive a power cut.</summary>
    /// <exception cref="IOException">The disk did not confirm.</exception>
    public static void FlushFolder(string path)
    {
        var folder = Open(path, OpenFolder | OpenCloseOnExec);
        var error = folder < 0 || Flush(folder) != 0 ? Marshal.GetLastPInvokeError() : 0;
        if (folder >= 0)
        {
            _ = Close(folder);
        }

        if (error != 0)
        {
            throw new IOException(new Win32Exception(error).Message, error);
        }
    }

    // struct statx of statx(2) is the same on every architecture.
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct StatXAnswer
    {
        [FieldOffset(20)]
        public uint Owner;

        [FieldOffset(28)]
        public ushort Mode;
    }

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatX(int folder, string path, int flags, uint mask, out StatXAnswer answer);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint EffectiveUserId();

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Flush(int file);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int file);
}
