using System.ComponentModel;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Signet.Hosting.Configuration;

namespace Signet.Hosting.Files;

/// <summary>
/// Puts another process's rights on the calling thread and reads one file under them. There is no way back, so the thread must end afterwards. The rights of
/// a thread are its own on Linux (credentials(7)); libc's setgroups would change those of all threads, so the kernel is called directly. Under the borrowed
/// rights nothing runs but the calls here: the runtime must not load a file meanwhile.
/// </summary>
internal static unsafe partial class BorrowedRights
{
    private const int OpenPath = 0x200000, OpenCloseOnExec = 0x80000, OpenFolder = 0x10000, OpenDoNotWait = 0x800, OpenNoTerminal = 0x100;
    private const ulong ResolveNoMagicLinks = 0x02, ResolveInRoot = 0x10;
    private const int CurrentFolder = -100, EmptyPath = 0x1000, AskTypeAndSize = 0x201, TypeMask = 0xF000, TypeFile = 0x8000, StatSize = 256, StatModeAt = 28, StatSizeAt = 40;
    private const uint CapabilityVersion3 = 0x20080522, OverrideModes = 1u << 1, OverrideReading = 1u << 2;
    private const int NotPermitted = 1, NoEntry = 2, AccessDenied = 13, NotAFolder = 20, LinkLoop = 40;

    /// <summary>How far it came.</summary>
    private enum Step
    {
        FindReader,
        Become,
        ActAsOthers,
        LayDownOverrides,
        Find,
        CheckKind,
        CheckSize,
        Open,
        Read,
        Done,
    }

    /// <summary>Reads an ordinary file. What is written to it meanwhile is for the next look.</summary>
    /// <exception cref="IOException">It can't be read for the reader, or is larger than it may be; the message says why.</exception>
    public static byte[] Read(FileReader reader, string path, int maxBytes)
    {
        if (Numbers.Here is not { } call)
        {
            throw new IOException($"files of others can't be read on {RuntimeInformation.ProcessArchitecture}");
        }

        var wanted = Encoding.UTF8.GetBytes(path + '\0');
        var folder = Encoding.UTF8.GetBytes($"/proc/{reader.Pid.ToString(CultureInfo.InvariantCulture)}/root\0");
        uint[] groups = [.. reader.Groups, 0];
        var (step, content, error) = Run(call, reader, folder, wanted, groups, maxBytes);
        return step == Step.Done ? content : throw new IOException(Explain(step, error, maxBytes));
    }

    private static (Step Step, byte[] Content, int Error) Run(Numbers call, FileReader reader, byte[] folder, byte[] path, uint[] groups, int maxBytes)
    {
        var (step, root, found, file) = (Step.FindReader, -1, -1, -1);
        try
        {
            // 1. Where the reader is, by our own right.
            fixed (byte* at = folder)
            {
                root = (int)Call(call.OpenAt, CurrentFolder, (nint)at, OpenPath | OpenFolder | OpenCloseOnExec, 0, 0);
            }

            if (root < 0)
            {
                return (step, [], Marshal.GetLastPInvokeError());
            }

            // 2. From here on with no right that the reader lacks.
            step = Become(call, reader, groups);
            if (step != Step.Find)
            {
                return (step, [], Marshal.GetLastPInvokeError());
            }

            // 3. First only found, so that nothing but an ordinary file is ever opened; then opened, which the kernel judges again.
            var how = stackalloc ulong[3] { OpenPath | OpenCloseOnExec, 0, ResolveInRoot | ResolveNoMagicLinks };
            fixed (byte* at = path)
            {
                found = (int)Call(Numbers.OpenAt2, root, (nint)at, (nint)how, 3 * sizeof(ulong), 0);
            }

            if (found < 0)
            {
                return (step, [], Marshal.GetLastPInvokeError());
            }

            step = Step.CheckKind;
            var stat = stackalloc byte[StatSize];
            var nothing = stackalloc byte[1] { 0 };
            if (Call(call.StatX, found, (nint)nothing, EmptyPath, AskTypeAndSize, (nint)stat) != 0 || (*(ushort*)(stat + StatModeAt) & TypeMask) != TypeFile)
            {
                return (step, [], 0);
            }

            step = Step.CheckSize;
            var length = *(ulong*)(stat + StatSizeAt);
            if (length > (ulong)maxBytes)
            {
                return (step, [], 0);
            }

            step = Step.Open;
            var link = stackalloc byte[64];
            WriteLink(link, found);
            file = (int)Call(call.OpenAt, CurrentFolder, (nint)link, OpenCloseOnExec | OpenDoNotWait | OpenNoTerminal, 0, 0);
            return file < 0 ? (step, [], Marshal.GetLastPInvokeError()) : ReadAll(call, file, (int)length);
        }
        finally
        {
            Close(call, file);
            Close(call, found);
            Close(call, root);
        }
    }

    private static (Step Step, byte[] Content, int Error) ReadAll(Numbers call, int file, int length)
    {
        var content = new byte[length];
        var read = 0;
        fixed (byte* start = content)
        {
            while (read < length)
            {
                var more = (int)Call(call.Read, file, (nint)(start + read), length - read, 0, 0);
                if (more < 0)
                {
                    return (Step.Read, [], Marshal.GetLastPInvokeError());
                }

                if (more == 0)
                {
                    break;
                }

                read += more;
            }
        }

        return (Step.Done, read == length ? content : content[..read], 0);
    }

    private static Step Become(Numbers call, FileReader reader, uint[] groups)
    {
        fixed (uint* first = groups)
        {
            if (Call(call.SetGroups, groups.Length - 1, (nint)first, 0, 0, 0) == 0)
            {
                Call(call.SetFileSystemGroup, (nint)reader.Gid, 0, 0, 0, 0);
                Call(call.SetFileSystemUser, (nint)reader.Uid, 0, 0, 0, 0);
                if ((uint)Call(call.SetFileSystemGroup, -1, 0, 0, 0, 0) != reader.Gid || (uint)Call(call.SetFileSystemUser, -1, 0, 0, 0, 0) != reader.Uid)
                {
                    return Step.Become;
                }
            }
            else if (!IsOneOfUs(call, reader, groups))
            {
                return Step.ActAsOthers;
            }
        }

        var header = stackalloc uint[2] { CapabilityVersion3, 0 };

        // Effective, permitted and inheritable, the low 32 of each and then the high ones.
        var sets = stackalloc uint[6];
        if (Call(call.CapGet, (nint)header, (nint)sets, 0, 0, 0) != 0)
        {
            return Step.LayDownOverrides;
        }

        sets[0] &= ~(OverrideModes | OverrideReading);
        return Call(call.CapSet, (nint)header, (nint)sets, 0, 0, 0) == 0 ? Step.Find : Step.LayDownOverrides;
    }

    // Whoever has our user and at least our groups may read what we may.
    private static bool IsOneOfUs(Numbers call, FileReader reader, uint[] groups)
    {
        if ((uint)Call(call.GetEffectiveUser, 0, 0, 0, 0, 0) != reader.Uid || (uint)Call(call.GetEffectiveGroup, 0, 0, 0, 0, 0) != reader.Gid)
        {
            return false;
        }

        var own = new uint[Math.Max(1, (int)Call(call.GetGroups, 0, 0, 0, 0, 0))];
        fixed (uint* first = own)
        {
            var count = (int)Call(call.GetGroups, own.Length, (nint)first, 0, 0, 0);
            for (var i = 0; i < count; i++)
            {
                if (own[i] != reader.Gid && Array.IndexOf(groups, own[i], 0, groups.Length - 1) < 0)
                {
                    return false;
                }
            }

            return count >= 0;
        }
    }

    private static void WriteLink(byte* link, int number)
    {
        var prefix = "/proc/thread-self/fd/"u8;
        for (var i = 0; i < prefix.Length; i++)
        {
            link[i] = prefix[i];
        }

        var digits = 1;
        for (var rest = number; rest >= 10; rest /= 10)
        {
            digits++;
        }

        link[prefix.Length + digits] = 0;
        for (var (at, rest) = (prefix.Length + digits - 1, number); at >= prefix.Length; at--, rest /= 10)
        {
            link[at] = (byte)('0' + (rest % 10));
        }
    }

    // Not there and not allowed are one answer: the second would tell that it is there.
    private static string Explain(Step step, int error, int maxBytes) => step switch
    {
        Step.FindReader => $"the root folder of the process that asks can't be looked into: {new Win32Exception(error).Message}",
        Step.Become => "the kernel does not let this process act as another user",
        Step.ActAsOthers => "this process does not run as root, so it reads files only for processes of its own user and groups",
        Step.LayDownOverrides => $"the right to override modes can't be laid down: {new Win32Exception(error).Message}",
        Step.CheckKind => "it is not an ordinary file",
        Step.CheckSize => $"it is larger than {SizeText.Format(maxBytes)}",
        Step.Read => $"it can't be read: {new Win32Exception(error).Message}",
        _ when error is NotPermitted or NoEntry or AccessDenied or NotAFolder or LinkLoop => "it is not there, or the process that asks may not read it",
        _ => $"it can't be opened: {new Win32Exception(error).Message}",
    };

    private static void Close(Numbers call, int file)
    {
        if (file >= 0)
        {
            Call(call.Close, file, 0, 0, 0, 0);
        }
    }

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint Call(nint number, nint first, nint second, nint third, nint fourth, nint fifth);

    /// <summary>The kernel's numbers of its calls; they differ by architecture.</summary>
    private sealed record Numbers(
        nint OpenAt, nint StatX, nint SetGroups, nint GetGroups, nint SetFileSystemUser, nint SetFileSystemGroup, nint GetEffectiveUser, nint GetEffectiveGroup, nint CapGet, nint CapSet, nint Close, nint Read)
    {
        public const nint OpenAt2 = 437;

        /// <summary>Null on an architecture that is not known.</summary>
        public static Numbers? Here { get; } = RuntimeInformation.ProcessArchitecture switch
        {
            Architecture.X64 => new Numbers(257, 332, 116, 115, 122, 123, 107, 108, 125, 126, 3, 0),
            Architecture.Arm64 => new Numbers(56, 291, 159, 158, 151, 152, 175, 177, 90, 91, 57, 63),
            _ => null,
        };
    }
}
