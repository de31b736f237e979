package benchmarks;

import java.nio.ByteBuffer;
import java.util.Arrays;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** One customer: non-empty days in columns, ascending, and the sums over the windows; as contenders/job.py has it. */
final class State {
    static final int[] WINDOW_DAYS = {30, 90, 365};
    static final int HORIZON_DAYS = 365;
    private static final int MEASURES = 3;
    private static final int YEAR_REVENUE = 2 * MEASURES;
    private static final int HEAD_BYTES = 4 + 1 + 4 + 8 * 9 + 4 * 3;
    private static final int DAY_BYTES = 4 + 8 + 4 + 8;

    int count;
    int[] days;
    long[] revenueMinor;
    int[] orders;
    long[] profitMinor;
    final long[] sums = new long[MEASURES * WINDOW_DAYS.length];
    final int[] starts = new int[WINDOW_DAYS.length];
    char tier = 'D';
    int sequence;

    State() {
        this(8);
    }

    private State(int capacity) {
        days = new int[capacity];
        revenueMinor = new long[capacity];
        orders = new int[capacity];
        profitMinor = new long[capacity];
    }

    long yearRevenueMinor() {
        return sums[YEAR_REVENUE];
    }

    /** Counts an order; returns whether the tier changed. */
    boolean add(int day, long revenue, long profit) {
        if (count == 0 || day > days[count - 1]) {
            append(day, revenue, profit);
        } else if (day == days[count - 1]) {
            addAt(count - 1, revenue, profit);
        } else if (day > days[count - 1] - HORIZON_DAYS) {
            addLate(day, revenue, profit);
        } else {
            return false;
        }
        char now = tierOf(sums[YEAR_REVENUE]);
        if (now == tier) {
            return false;
        }
        tier = now;
        sequence++;
        return true;
    }

    private static char tierOf(long revenueMinor) {
        return revenueMinor >= 1_000_000 ? 'A' : revenueMinor >= 400_000 ? 'B' : revenueMinor >= 150_000 ? 'C' : 'D';
    }

    private void append(int day, long revenue, long profit) {
        insert(count, day);
        int last = count - 1;
        revenueMinor[last] = revenue;
        orders[last] = 1;
        profitMinor[last] = profit;
        for (int window = 0; window < WINDOW_DAYS.length; window++) {
            int at = window * MEASURES;
            sums[at] += revenue;
            sums[at + 1] += 1;
            sums[at + 2] += profit;
            int first = day - WINDOW_DAYS[window] + 1;
            int index = starts[window];
            while (days[index] < first) {
                sums[at] -= revenueMinor[index];
                sums[at + 1] -= orders[index];
                sums[at + 2] -= profitMinor[index];
                index++;
            }
            starts[window] = index;
        }
        drop(starts[WINDOW_DAYS.length - 1]);
    }

    private void addAt(int index, long revenue, long profit) {
        revenueMinor[index] += revenue;
        orders[index] += 1;
        profitMinor[index] += profit;
        for (int window = 0; window < WINDOW_DAYS.length; window++) {
            if (index >= starts[window]) {
                int at = window * MEASURES;
                sums[at] += revenue;
                sums[at + 1] += 1;
                sums[at + 2] += profit;
            }
        }
    }

    private void addLate(int day, long revenue, long profit) {
        int index = firstNotBefore(day);
        if (days[index] != day) {
            insert(index, day);
            for (int window = 0; window < WINDOW_DAYS.length; window++) {
                starts[window] = firstNotBefore(days[count - 1] - WINDOW_DAYS[window] + 1);
            }
        }
        addAt(index, revenue, profit);
    }

    private int firstNotBefore(int day) {
        int index = Arrays.binarySearch(days, 0, count, day);
        return index >= 0 ? index : -index - 1;
    }

    private void insert(int index, int day) {
        if (count == days.length) {
            int capacity = Math.min(2 * count, HORIZON_DAYS + 1);
            days = Arrays.copyOf(days, capacity);
            revenueMinor = Arrays.copyOf(revenueMinor, capacity);
            orders = Arrays.copyOf(orders, capacity);
            profitMinor = Arrays.copyOf(profitMinor, capacity);
        }
        int moved = count - index;
        System.arraycopy(days, index, days, index + 1, moved);
        System.arraycopy(revenueMinor, index, revenueMinor, index + 1, moved);
        System.arraycopy(orders, index, orders, index + 1, moved);
        System.arraycopy(profitMinor, index, profitMinor, index + 1, moved);
        days[index] = day;
        revenueMinor[index] = 0;
        orders[index] = 0;
        profitMinor[index] = 0;
        count++;
    }

    private void drop(int gone) {
        if (gone == 0) {
            return;
        }
        count -= gone;
        System.arraycopy(days, gone, days, 0, count);
        System.arraycopy(revenueMinor, gone, revenueMinor, 0, count);
        System.arraycopy(orders, gone, orders, 0, count);
        System.arraycopy(profitMinor, gone, profitMinor, 0, count);
        for (int window = 0; window < starts.length; window++) {
            starts[window] -= gone;
        }
    }

    static Serde<State> serde() {
        return Serdes.serdeFrom((topic, state) -> state.pack(), (topic, bytes) -> bytes == null ? null : unpack(bytes));
    }

    private byte[] pack() {
        ByteBuffer out = ByteBuffer.allocate(HEAD_BYTES + DAY_BYTES * count);
        out.putInt(sequence).put((byte) tier).putInt(count);
        for (long sum : sums) {
            out.putLong(sum);
        }
        for (int start : starts) {
            out.putInt(start);
        }
        for (int index = 0; index < count; index++) {
            out.putInt(days[index]).putLong(revenueMinor[index]).putInt(orders[index]).putLong(profitMinor[index]);
        }
        return out.array();
    }

    private static State unpack(byte[] bytes) {
        ByteBuffer in = ByteBuffer.wrap(bytes);
        int sequence = in.getInt();
        char tier = (char) in.get();
        int count = in.getInt();
        State state = new State(Math.min(count + 4, HORIZON_DAYS + 1));
        state.sequence = sequence;
        state.tier = tier;
        state.count = count;
        for (int index = 0; index < state.sums.length; index++) {
            state.sums[index] = in.getLong();
        }
        for (int index = 0; index < state.starts.length; index++) {
            state.starts[index] = in.getInt();
        }
        for (int index = 0; index < count; index++) {
            state.days[index] = in.getInt();
            state.revenueMinor[index] = in.getLong();
            state.orders[index] = in.getInt();
            state.profitMinor[index] = in.getLong();
        }
        return state;
    }
}
