using Microsoft.Extensions.Logging;
using Signet.Hosting;

namespace Signet.Server.ControlPlane.Mcp;

/// <summary>The mesh as MCP has it, and who takes it. Thread-safe.</summary>
/// <param name="source">Where it comes from; null when there is none.</param>
/// <param name="log">Where it logs.</param>
internal sealed class McpFeed(MeshSource? source, ILogger<McpFeed> log)
{
    private static readonly ChangeSignal Never = new();

    private readonly Lock _gate = new();
    private MeshState? _state;
    private McpImage? _image;
    private int _sinks;
    private long _refused;

    public bool IsConfigured => source is not null;

    public ChangeSignal Changes => source?.Changes ?? Never;

    /// <summary>Sinks at this moment.</summary>
    public int Sinks => Volatile.Read(ref _sinks);

    /// <summary>Messages that sinks refused since the start.</summary>
    public long Refused => Interlocked.Read(ref _refused);

    /// <summary>The last image that could be made; null before the first, and then nothing is said: an empty collection would be a lie.</summary>
    public McpImage? Current
    {
        get
        {
            lock (_gate)
            {
                if (source?.Current is { } state && !ReferenceEquals(state, _state))
                {
                    _state = state;
                    if (McpImage.Of(state, _image, out var problem) is { } image)
                    {
                        _image = image;
                    }
                    else
                    {
                        log.McpNotPublished(problem);
                    }
                }

                return _image;
            }
        }
    }

    public void SinkCame() => Interlocked.Increment(ref _sinks);

    public void SinkLeft() => Interlocked.Decrement(ref _sinks);

    public void CountRefusal() => Interlocked.Increment(ref _refused);
}
