using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Signet.Hosting.Files;

/// <summary>What the framework does not tell about a path: its owner, which version of its content it has, and how to make a rename durable. Linux.</summary>
internal static partial class NativeFile
{
    private const int AtCurrentFolder = -100, NoFollow = 0x100, AskTypeModeAndOwner = 0x1 | 0x2 | 0x8, AskVersion = 0x40 | 0x80 | 0x100 | 0x200, NoEntry = 2;
    private const int OpenFolder = 0x10000, OpenCloseOnExec = 0x80000, TypeMask = 0xF000, TypeSocket = 0xC000, TypeFile = 0x8000, ModeMask = 0xFFF;

    /// <param name="Owner">The user id.</param>
    /// <param name="Mode">Permission bits.</param>
    /// <param name="IsSocket">Whether it is a Unix socket.</param>
    /// <param name="IsFile">Whether it is an ordinary file.</param>
    /// <param name="Version">Which file it is, and when it last changed.</param>
    public readonly record struct Facts(uint Owner, UnixFileMode Mode, bool IsSocket, bool IsFile, FileVersion Version);

    /// <summary>
    /// Differs when another file has taken the path, and when the file was written to, except twice within one tick of the file system's clock.
    /// The kernel sets <see cref="Changed"/>; no program can set it back.
    /// </summary>
    public readonly record struct FileVersion(ulong Device, ulong Number, ulong Size, FileTime Written, FileTime Changed);

    public readonly record struct FileTime(long Seconds, uint Nanoseconds);

    /// <summary>What lies at the path, or null when nothing does.</summary>
    /// <exception cref="IOException">The path can't be looked at.</exception>
    public static Facts? Look(string path, bool followLink)
    {
        if (StatX(AtCurrentFolder, path, followLink ? 0 : NoFollow, AskTypeModeAndOwner | AskVersion, out var found) == 0)
        {
            var version = new FileVersion(
                ((ulong)found.DeviceMajor << 32) | found.DeviceMinor, found.Number, found.Size, new(found.WrittenSeconds, found.WrittenNanoseconds), new(found.ChangedSeconds, found.ChangedNanoseconds));
            return new Facts(found.Owner, (UnixFileMode)(found.Mode & ModeMask), (found.Mode & TypeMask) == TypeSocket, (found.Mode & TypeMask) == TypeFile, version);
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

    /// <summary>Puts a file or link in the place of another in one step. Links are not followed.</summary>
    /// <exception cref="IOException">A folder lies there, …</exception>
    public static void Rename(string from, string to)
    {
        if (RenamePath(from, to) != 0)
        {
            var error = Marshal.GetLastPInvokeError();
            throw new IOException(new Win32Exception(error).Message, error);
        }
    }

    /// <summary>Gives an open file away.</summary>
    /// <exception cref="IOException">This process may not.</exception>
    public static void ChangeOwner(SafeFileHandle file, FileOwner owner)
    {
        // All ones leave it as it is (fchown(2)).
        if (!owner.IsUnchanged && ChangeOwner(file, owner.User ?? uint.MaxValue, owner.Group ?? uint.MaxValue) != 0)
        {
            var error = Marshal.GetLastPInvokeError();
            throw new IOException($"its owner can't be changed: {new Win32Exception(error).Message}", error);
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

        [FieldOffset(32)]
        public ulong Number;

        [FieldOffset(40)]
        public ulong Size;

        [FieldOffset(96)]
        public long ChangedSeconds;

        [FieldOffset(104)]
        public uint ChangedNanoseconds;

        [FieldOffset(112)]
        public long WrittenSeconds;

        [FieldOffset(120)]
        public uint WrittenNanoseconds;

        [FieldOffset(136)]
        public uint DeviceMajor;

        [FieldOffset(140)]
        public uint DeviceMinor;
    }

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatX(int folder, string path, int flags, uint mask, out StatXAnswer answer);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Flush(int file);

    [LibraryImport("libc", EntryPoint = "rename", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int RenamePath(string from, string to);

    [LibraryImport("libc", EntryPoint = "fchown", SetLastError = true)]
    private static partial int ChangeOwner(SafeFileHandle file, uint user, uint group);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int file);
}
