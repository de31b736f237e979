package benchmarks;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** The work of contenders/job.py on Kafka Streams; arguments and result as in contenders/measured.py. */
public final class Contender {
    private static final String STORE = "accounts";

    private final long events;
    private final long warmUp;
    private final AtomicLong seen = new AtomicLong();
    private final CountDownLatch done = new CountDownLatch(1);
    private volatile long startedNanos;
    private volatile long endedNanos;

    private Contender(long events, long warmUp) {
        this.events = events;
        this.warmUp = warmUp;
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> task = new HashMap<>();
        for (int index = 0; index + 1 < arguments.length; index += 2) {
            task.put(arguments[index].substring(2), arguments[index + 1]);
        }
        new Contender(Long.parseLong(task.get("events")), Long.parseLong(task.get("warm-up"))).run(task);
    }

    private void run(Map<String, String> task) throws Exception {
        StreamsBuilder builder = new StreamsBuilder();
        var supplier = task.get("store").equals("memory")
            ? Stores.inMemoryKeyValueStore(STORE)
            : Stores.persistentKeyValueStore(STORE);
        builder.addStateStore(
            Stores.keyValueStoreBuilder(supplier, Serdes.String(), State.serde()).withCachingEnabled());
        builder.stream(task.get("topic"), Consumed.with(Serdes.String(), Serdes.ByteArray()))
            .process(Work::new, STORE)
            .to(task.get("run") + "-tier-changes", Produced.with(Serdes.String(), Serdes.ByteArray()));
        try (KafkaStreams streams = new KafkaStreams(builder.build(), settings(task))) {
            streams.start();
            done.await();
            double seconds = (endedNanos - startedNanos) / 1e9;
            System.out.printf("{\"events\": %d, \"seconds\": %.6f}%n", events - warmUp, seconds);
            System.out.flush();
            streams.close(Duration.ofSeconds(60));
        }
    }

    private static Properties settings(Map<String, String> task) throws IOException {
        Properties settings = new Properties();
        try (InputStream file = Contender.class.getResourceAsStream("/streams.properties")) {
            settings.load(file);
        }
        settings.put("application.id", task.get("run"));
        settings.put("bootstrap.servers", task.get("bootstrap-servers"));
        settings.put("state.dir", task.get("folder"));
        settings.put("processing.guarantee", task.get("guarantee"));
        settings.put("commit.interval.ms", task.get("commit-interval-ms"));
        return settings;
    }

    private void count() {
        long number = seen.incrementAndGet();
        if (number == warmUp) {
            startedNanos = System.nanoTime();
        } else if (number == events) {
            endedNanos = System.nanoTime();
            done.countDown();
        }
    }

    private final class Work implements Processor<String, byte[], String, byte[]> {
        private ProcessorContext<String, byte[]> context;
        private KeyValueStore<String, State> states;

        @Override
        public void init(ProcessorContext<String, byte[]> given) {
            context = given;
            states = given.getStateStore(STORE);
        }

        @Override
        public void process(Record<String, byte[]> record) {
            try {
                Order order = Order.read(record.value());
                State state = states.get(record.key());
                if (state == null) {
                    state = new State();
                }
                char old = state.tier;
                if (state.add(order.day, order.revenueMinor, order.profitMinor)) {
                    context.forward(record.withValue(change(order, state, old)));
                }
                states.put(record.key(), state);
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
            count();
        }

        private static byte[] change(Order order, State state, char old) {
            // Neither ids nor times of the generated orders need escapes.
            String text = "{\"account_id\":\"" + order.accountId + "\",\"sequence\":" + state.sequence
                + ",\"old\":\"" + old + "\",\"new\":\"" + state.tier + "\",\"occurred_at\":\"" + order.occurredAt
                + "\",\"revenue_365d_minor\":" + state.yearRevenueMinor() + "}";
            return text.getBytes(StandardCharsets.UTF_8);
        }
    }
}
