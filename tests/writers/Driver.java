import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Arrays;
import java.util.HashMap;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;

/** Does what the lines of standard input say with the example's code, and answers each with a line. */
public final class Driver {

  public static void main(String[] tables) throws Exception {
    var client = DynamoDbClient.create();
    var stock = new Stock(client, tables[0]);
    var records = new Records(client, tables[1], "a", "s");
    var input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (var line = input.readLine(); line != null; line = input.readLine()) {
      System.out.println(answer(stock, records, line.split("\t")));
    }
  }

  private static String answer(Stock stock, Records records, String[] words) {
    try {
      switch (words[0]) {
        case "put":
          return records.put(change(words)) ? "done" : "known";
        case "add":
          stock.add(words[1], words[2], new BigDecimal(words[3]), new BigDecimal(words[4]));
          return "done";
        default:
          stock.setOnHand(words[1], words[2], new BigDecimal(words[3]));
          return "done";
      }
    } catch (Stock.NotEnoughException thereIsLess) {
      return "not enough";
    }
  }

  private static Records.Change change(String[] words) {
    var said = new HashMap<String, String>();
    Arrays.stream(words).skip(1).map(word -> word.split("=", 2)).forEach(word -> said.put(word[0], word[1]));
    var more = new HashMap<String, AttributeValue>();
    for (var name : new String[] {"until", "not_after"}) {
      if (said.containsKey(name)) {
        more.put(name, Records.time(Instant.parse(said.get(name))));
      }
    }
    if (said.containsKey("expected")) {
      more.put("expected", Records.number(new BigDecimal(said.get("expected"))));
    }
    for (var name : new String[] {"reason", "reference"}) {
      if (said.containsKey(name)) {
        more.put(name, AttributeValue.fromS(said.get(name)));
      }
    }
    return new Records.Change(
        said.get("change_id"),
        said.get("sku"),
        said.get("location_id"),
        said.get("kind"),
        new BigDecimal(said.get("value")),
        Instant.parse(said.get("effective_at")),
        more);
  }
}
