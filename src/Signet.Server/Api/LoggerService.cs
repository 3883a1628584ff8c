using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Logging;
using Signet.Rpc.Wire.Spire.Server.Logger;
using WireLevel = Signet.Rpc.Wire.Spire.Types.LogLevel;
using WireLogger = Signet.Rpc.Wire.Spire.Types.Logger;

namespace Signet.Server.Api;

/// <summary>spire.api.server.logger.v1.Logger: how much is logged, changed until the server restarts.</summary>
internal sealed class LoggerService(ILogLevels? levels) : Logger.LoggerBase
{
    public override Task<WireLogger> GetLogger(GetLoggerRequest request, ServerCallContext context) => Task.FromResult(Show(Levels));

    public override Task<WireLogger> SetLogLevel(SetLogLevelRequest request, ServerCallContext context)
    {
        // What has no level of its own here is written by the next lower one, so that nothing which was asked for is missing.
        LogLevel? level = request.NewLevel switch
        {
            WireLevel.Panic or WireLevel.Fatal => LogLevel.Critical,
            WireLevel.Error => LogLevel.Error,
            WireLevel.Warn => LogLevel.Warning,
            WireLevel.Info => LogLevel.Information,
            WireLevel.Debug => LogLevel.Debug,
            WireLevel.Trace => LogLevel.Trace,
            _ => null,
        };
        CallOf.Of(context).About($"log level {request.NewLevel}");
        Levels.Change = new LevelChange(level ?? throw Rpcs.Invalid($"new_level {(int)request.NewLevel} is not a log level"), DateTimeOffset.MaxValue);
        return Task.FromResult(Show(Levels));
    }

    public override Task<WireLogger> ResetLogLevel(ResetLogLevelRequest request, ServerCallContext context)
    {
        Levels.Change = null;
        return Task.FromResult(Show(Levels));
    }

    private ILogLevels Levels => levels ?? throw new RpcException(new Status(StatusCode.Unimplemented, "this server's log has no level that can be changed"));

    private static WireLogger Show(ILogLevels levels) => new() { CurrentLevel = ToWire(levels.Change?.Level ?? levels.Configured), LaunchLevel = ToWire(levels.Configured) };

    private static WireLevel ToWire(LogLevel level) => level switch
    {
        LogLevel.Trace => WireLevel.Trace,
        LogLevel.Debug => WireLevel.Debug,
        LogLevel.Information => WireLevel.Info,
        LogLevel.Warning => WireLevel.Warn,
        LogLevel.Error => WireLevel.Error,
        LogLevel.Critical => WireLevel.Fatal,
        _ => WireLevel.Unspecified,
    };
}
