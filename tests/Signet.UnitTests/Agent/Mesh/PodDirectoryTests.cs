using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Signet.Agent.Mesh;
using Signet.Rpc.Wire.Istio.Mcp;
using Signet.Rpc.Wire.Kubernetes;

namespace Signet.UnitTests.Agent.Mesh;

public sealed class PodDirectoryTests
{
    private readonly PodDirectory _pods = new();

    [Fact]
    public void Finds_pods_by_what_the_cluster_calls_them_through_all_and_differences()
    {
        Assert.False(_pods.IsTold);
        Assert.Null(_pods.Take(Whole(Of("shop/web", "u1"), Of("shop/db", "u2"))));
        Assert.Equal((true, 2, "web"), (_pods.IsTold, _pods.Count, _pods.Find("u1")!.Metadata.Name));
        Assert.Null(_pods.Take(new McpMessage("2", true, [Of("shop/web", "u3", "2")], ["shop/db"])));
        Assert.Null(_pods.Find("u1"));
        Assert.Null(_pods.Find("u2"));
        Assert.NotNull(_pods.Find("u3"));
        Assert.Equal("2", _pods.Versions["shop/web"]);
        Assert.Null(_pods.Take(Whole()));
        Assert.Equal((true, 0), (_pods.IsTold, _pods.Count));
    }

    public static TheoryData<string> Bad => ["nameless", "bodiless", "other type", "garbage", "no uid", "called otherwise", "same uid", "null"];

    [Theory]
    [MemberData(nameof(Bad))]
    public void One_bad_resource_takes_nothing_of_the_message(string what)
    {
        Assert.Null(_pods.Take(Whole(Of("shop/web", "u1"))));
        Resource? bad = what switch
        {
            "nameless" => new Resource { Metadata = new Metadata(), Body = Of("a/b", "u").Body },
            "bodiless" => new Resource { Metadata = new Metadata { Name = "a/b" } },
            "other type" => new Resource { Metadata = new Metadata { Name = "a/b" }, Body = Any.Pack(new Metadata()) },
            "garbage" => new Resource { Metadata = new Metadata { Name = "a/b" }, Body = new Any { TypeUrl = Of("a/b", "u").Body.TypeUrl, Value = ByteString.CopyFromUtf8("\xff\xff") } },
            "no uid" => Of("a/b", ""),
            "called otherwise" => new Resource { Metadata = new Metadata { Name = "a/c" }, Body = Of("a/b", "u").Body },
            "same uid" => Of("a/b", "u1"),
            _ => null,
        };
        Assert.NotNull(_pods.Take(new McpMessage("2", true, [Of("shop/new", "u9"), bad], [])));
        Assert.Equal(1, _pods.Count);
        Assert.NotNull(_pods.Find("u1"));
        Assert.Null(_pods.Find("u9"));
    }

    private static McpMessage Whole(params Resource[] resources) => new("1", false, resources, []);

    private static Resource Of(string name, string uid, string version = "1") => new()
    {
        Metadata = new Metadata { Name = name, Version = version },
        Body = Any.Pack(new Pod { Metadata = new ObjectMeta { Namespace = name.Split('/')[0], Name = name.Split('/')[1], Uid = uid } }),
    };
}
