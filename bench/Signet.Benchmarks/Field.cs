using Signet.Benchmarks.Peers;

namespace Signet.Benchmarks;

/// <summary>A mesh, a backend, a load generator, and the proxies that are compared: Signet's in the wanted ways, nginx and HAProxy at their defaults and tuned.</summary>
internal sealed class Field : IAsyncDisposable
{
    private readonly Mesh _mesh;
    private readonly List<SignetPair> _signets = [];
    private readonly List<ForeignPair> _peers = [];

    private Field(Mesh mesh, LoadTools tools)
    {
        _mesh = mesh;
        Tools = tools;
    }

    public LoadTools Tools { get; }

    public Mesh Mesh => _mesh;

    public IReadOnlyList<SignetPair> Signets => _signets;

    public IReadOnlyList<ForeignPair> Peers => _peers;

    public static async Task<Field> StartAsync(BenchContext context, params SignetSessions[] signets)
    {
        var mesh = await Mesh.StartAsync(context);
        Field field;
        try
        {
            field = new Field(mesh, await LoadTools.StartAsync(mesh.Layout.Home, context.Cancellation));
        }
        catch
        {
            await mesh.DisposeAsync();
            throw;
        }

        try
        {
            foreach (var sessions in signets)
            {
                field._signets.Add(await SignetPair.StartAsync(sessions, mesh, field.Tools, context));
            }

            foreach (var program in new[] { ForeignProgram.Nginx, ForeignProgram.HAProxy })
            {
                field._peers.Add(await ForeignPair.StartAsync(program, isTuned: false, mesh, field.Tools, context));
                field._peers.Add(await ForeignPair.StartAsync(program, isTuned: true, mesh, field.Tools, context));
            }

            return field;
        }
        catch
        {
            await field.DisposeAsync();
            throw;
        }
    }

    /// <summary>Access log lines that Signet's proxies could not write.</summary>
    public async Task<double> DroppedLinesAsync(CancellationToken cancellationToken)
    {
        var sum = 0d;
        foreach (var signet in _signets)
        {
            sum += await signet.DroppedLinesAsync(cancellationToken);
        }

        return sum;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var pair in _peers.Concat<ProxyPair>(_signets))
        {
            await pair.DisposeAsync();
        }

        await Tools.DisposeAsync();
        await _mesh.DisposeAsync();
    }
}
