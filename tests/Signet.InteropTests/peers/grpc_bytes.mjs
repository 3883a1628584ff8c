// The same as grpc_bytes.py, by grpc-js.
// usage: node grpc_bytes.mjs serve PORT
//        node grpc_bytes.mjs call TARGET MEGABYTES
import grpc from "@grpc/grpc-js";

const service = "signet.testing.Bytes";
const options = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };
const same = (bytes) => bytes;
const piece = Buffer.from(Array.from({ length: 256 * 1024 }, (_, i) => i & 255));
const shapes = {
  Echo: [false, false], Sum: [true, false], Give: [false, true], Chat: [true, true], Wait: [false, false], Forbidden: [false, false],
};

const serve = (port) => {
  const definition = Object.fromEntries(Object.entries(shapes).map(([name, [requestStream, responseStream]]) => [name, {
    path: `/${service}/${name}`, requestStream, responseStream,
    requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same,
  }]));
  const server = new grpc.Server(options);
  server.addService(definition, {
    Echo: (call, answer) => answer(null, call.request),
    Sum: (call, answer) => {
      let sum = 0;
      call.on("data", (bytes) => { sum += bytes.length; });
      call.on("end", () => answer(null, Buffer.from(`${sum}`)));
    },
    Give: (call) => {
      let left = Number(call.request);
      const go = () => {
        while (left > 0) {
          left -= 1;
          if (!call.write(piece)) {
            call.once("drain", go);
            return;
          }
        }
        call.end();
      };
      go();
    },
    Chat: (call) => call.pipe(call),
    Wait: () => {},
    Forbidden: (call, answer) => answer(null, Buffer.from("it was reached")),
  });
  server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error) => {
    if (error) throw error;
  });
};

const held = (name, condition, seen) => {
  if (!condition) {
    console.error(`did not hold: ${name}:`, seen);
    process.exit(1);
  }
  console.log(name);
};

const call = async (target, megabytes) => {
  const client = new grpc.Client(target, grpc.credentials.createInsecure(), options);
  const pieces = (megabytes * 1024 * 1024) / piece.length;
  const within = (seconds) => ({ deadline: Date.now() + seconds * 1000 });
  const unary = (name, message, seconds = 30, cancel = false) => new Promise((resolve) => {
    const one = client.makeUnaryRequest(`/${service}/${name}`, same, same, message, new grpc.Metadata(), within(seconds), (error, reply) => resolve({ error, reply }));
    if (cancel) setTimeout(() => one.cancel(), 200);
  });
  const feed = (stream) => {
    let left = pieces;
    const go = () => {
      while (left > 0) {
        left -= 1;
        if (!stream.write(piece)) {
          stream.once("drain", go);
          return;
        }
      }
      stream.end();
    };
    go();
  };
  const count = (stream) => new Promise((resolve, reject) => {
    let sum = 0;
    stream.on("data", (bytes) => { sum += bytes.length; });
    stream.on("error", reject);
    stream.on("end", () => resolve(sum));
  });

  let seen = await unary("Echo", Buffer.from("hello"));
  held("unary", seen.reply?.toString() === "hello", seen.error);
  const message = Buffer.concat(Array.from({ length: pieces }, () => piece));
  seen = await unary("Echo", message, 120);
  held(`one message of ${megabytes} MB there and back`, seen.reply?.equals(message), seen.error);
  seen = await new Promise((resolve) => {
    feed(client.makeClientStreamRequest(`/${service}/Sum`, same, same, new grpc.Metadata(), within(120), (error, reply) => resolve({ error, reply })));
  });
  held(`${megabytes} MB up in a stream`, Number(seen.reply) === message.length, seen.error);
  seen = await count(client.makeServerStreamRequest(`/${service}/Give`, same, same, Buffer.from(`${pieces}`), new grpc.Metadata(), within(120)));
  held(`${megabytes} MB down in a stream`, seen === message.length, seen);
  const chat = client.makeBidiStreamRequest(`/${service}/Chat`, same, same, new grpc.Metadata(), within(120));
  const counting = count(chat);
  feed(chat);
  seen = await counting;
  held(`${megabytes} MB both ways at once`, seen === message.length, seen);

  seen = await unary("Wait", Buffer.alloc(0), 0.3);
  held("deadline", seen.error?.code === grpc.status.DEADLINE_EXCEEDED, seen.error);
  seen = await unary("Wait", Buffer.alloc(0), 30, true);
  held("cancellation", seen.error?.code === grpc.status.CANCELLED, seen.error);
  seen = await unary("Forbidden", Buffer.alloc(0));
  held("denied", seen.error?.code === grpc.status.PERMISSION_DENIED, seen.error);
  held("the denial says nothing of policies", !seen.error.details.includes("no-forbidden") && !seen.error.details.includes("default"), seen.error.details);
  seen = await unary("Nope", Buffer.alloc(0));
  held("unknown method", seen.error?.code === grpc.status.UNIMPLEMENTED, seen.error);
  client.close();
  console.log("done");
};

if (process.argv[2] === "serve") {
  serve(process.argv[3]);
} else {
  await call(process.argv[3], Number(process.argv[4]));
}
